"""What everything may use: whole files, places on disk, one picture as pixels, and whether anybody is watching.

And random numbers from a seed, tensors on their way to a device, pixels as a model takes them, whether images and
labels fit, how two sets of settings differ, what all command lines share, modules for their shapes alone, and PyTorch
as it is in a fresh Python.
"""
