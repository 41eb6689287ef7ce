"""Scikit-learn estimators over the scorer."""
