"""Recorded programs of models on torch. Nothing of this is imported on another backend."""
