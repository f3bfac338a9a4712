"""What JPEGs are made of."""
