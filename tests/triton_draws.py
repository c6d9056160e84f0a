"""What the tests of Triton's convolutions are drawn from: small, as the interpreter is slow, and without bfloat16."""

import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st


def few(examples: int) -> settings:
    checks = [HealthCheck.function_scoped_fixture]
    return settings(max_examples=examples, deadline=None, derandomize=True, suppress_health_check=checks)


sides = st.sampled_from([1, 2, 3, 5, 8])
sizes = st.tuples(st.integers(1, 2), st.sampled_from([1, 3, 16, 19]), sides, sides)
layouts = st.sampled_from(["contiguous", "channels_last", "strided", "expanded"])
dtypes = st.sampled_from([torch.float32, torch.float16])
activations = st.sampled_from(["none", "relu", "leaky_relu"])
