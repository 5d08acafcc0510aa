"""What the lessons say of other libraries, and no cell of theirs can show, since a learner need not have them."""

import inspect

import timm
from timm.models.vision_transformer import VisionTransformer


def arguments(function):
    return set(inspect.signature(function).parameters)


def test_timms_weights_of_lesson_10_learned_with_a_mean_and_std_of_one_half():
    settings = timm.models.get_pretrained_cfg("vit_base_patch16_224")
    assert settings.mean == settings.std == (0.5, 0.5, 0.5)


def test_timm_takes_no_representation_size_and_no_distilled_and_stops_before_the_head_when_told():
    assert not {"representation_size", "distilled", "pre_logits"} & arguments(VisionTransformer.__init__)
    assert "pre_logits" in arguments(VisionTransformer.forward_head)
    distilled = timm.create_model("deit_tiny_distilled_patch16_224", pretrained=False)
    assert type(distilled).__name__ == "VisionTransformerDistilled"
    assert distilled.dist_token.shape == distilled.cls_token.shape
    assert distilled.head_dist.weight.shape == distilled.head.weight.shape
