"""What a learner may have set PyTorch to, in the cells around a call of the course."""

import contextlib

import torch


@contextlib.contextmanager
def default(set_to, value, before):
    set_to(value)
    try:
        yield
    finally:
        set_to(before)


def default_type(dtype):
    return default(torch.set_default_dtype, dtype, torch.float32)


SETTINGS = {
    "device": lambda: default(torch.set_default_device, "meta", None),  # any other than the CPU
    "float64": lambda: default_type(torch.float64),
    "float16": lambda: default_type(torch.float16),
    "bfloat16": lambda: default_type(torch.bfloat16),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference": torch.inference_mode,
    "no_grad": torch.no_grad,
}
