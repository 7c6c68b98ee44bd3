"""Measurements behind the choices of the store. Each prints ratios within one run."""
