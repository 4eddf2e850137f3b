"""Stand-in: this image has no network client."""


class InferenceServerClient:
    """Says that there is none."""

    def __init__(self, *_arguments: object, **_named: object) -> None:
        raise ImportError("This image has no client of Triton servers: its networks run inside the container.")
