"""Rewrites of a converted ncnn graph, one to a file."""
