"""Stands in for the client of Triton servers, which the App SDK imports and the networks in this image do not use."""
