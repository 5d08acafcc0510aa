"""What everything may use: whole files, places on disk, one picture as pixels, and whether anybody is watching.

And random numbers from a seed, tensors on their way to a device, how two sets of settings differ, modules for their
shapes alone, and PyTorch as it is in a fresh Python.
"""
