"""Networks."""

from tarn.training.model.resnet import DEPTHS, BasicBlock, Bottleneck, ResNet, build_model

__all__ = ["DEPTHS", "BasicBlock", "Bottleneck", "ResNet", "build_model"]
