"""Label scores from a model server."""
