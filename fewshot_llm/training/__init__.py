"""LoRA on the support set: recipes, the packed forward pass, the trainer, cross-fitting."""
