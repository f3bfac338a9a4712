"""What samples hold beside their pictures: members of a tar as tensors and lists, in the geometry of the crop."""
