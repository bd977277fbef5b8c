"""Measurements of bundles on real machines."""
