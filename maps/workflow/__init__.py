"""Definitions of MONAI Deploy Workflow Manager workflows, and what must hold of them."""
