"""Causal language models: the embedded ones, the cache, loading."""
