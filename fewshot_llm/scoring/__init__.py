"""Label scores: the slow reference, the token tree, a remote server."""
