"""The class token: first in line, the same for every image, and learned from all of them."""

import pytest
import torch
from references import exactly

from vit_tutorial import ClassToken


def test_the_class_token_comes_first_and_the_patches_follow_unchanged():
    token, tokens = ClassToken(8), torch.randn(3, 5, 8)
    out = token(tokens)
    assert out.shape == (3, 6, 8)
    assert torch.equal(out[:, 1:], tokens)
    for image in out:
        assert torch.equal(image[0], token.cls_token[0, 0])


def test_it_is_one_small_random_vector():
    token = ClassToken(4096).cls_token
    assert token.shape == (1, 1, 4096)
    assert 0.019 < token.std().item() < 0.021
    assert abs(token.mean().item()) < 0.002


def test_its_gradient_is_the_sum_over_the_batch():
    token = ClassToken(4)
    weight = torch.randn(3, 6, 4)
    (token(torch.randn(3, 5, 4)) * weight).sum().backward()
    torch.testing.assert_close(token.cls_token.grad, weight[:, :1].sum(dim=0, keepdim=True))


def test_dtype_follows_the_module():
    assert ClassToken(4).double()(torch.zeros(1, 2, 4, dtype=torch.float64)).dtype == torch.float64


@pytest.mark.parametrize("shape", [(3, 5, 7), (5, 8), (1, 3, 5, 8)])
def test_wrong_tokens_are_refused(shape):
    message = f"tokens must be [B, N, 8]; got shape {list(shape)}; the class token and the patch embedding need the"
    with pytest.raises(ValueError, match=exactly(message)):
        ClassToken(8)(torch.zeros(shape))


def test_tokens_are_a_tensor():
    with pytest.raises(TypeError, match=exactly("tokens must be a Tensor; got list")):
        ClassToken(8)([[0.0] * 8])


@pytest.mark.parametrize(("dim", "words"), [(-1, "1 or more"), (0, "1 or more"), (8.0, "one whole number")])
def test_it_has_a_width(dim, words):
    with pytest.raises(ValueError, match=exactly(f"dim is {dim}; it must be {words}")):
        ClassToken(dim)
