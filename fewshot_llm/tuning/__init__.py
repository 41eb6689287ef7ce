"""LoRA on the support set: recipes, training, adapter folders."""
