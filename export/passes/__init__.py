"""Passes over a converted ncnn graph, one per file."""
