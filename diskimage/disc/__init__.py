"""Frames, tracks and what a disc is made of."""
