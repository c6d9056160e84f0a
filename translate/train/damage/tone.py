"""Tone and colour of an old print: (H, W, 3) in [0, 1] -> the same, with a strength from 0 to 1."""

import math

import numpy as np

from translate.train.damage.fields import Random, Rgb, bell, blend, clouds, log_uniform, power, radius, rough, somewhere


def silver(x: Rgb, rng: Random, strength: float) -> Rgb:
    """What silver does in a grey print: shadows brown or olive, lights cream. A colour photograph has none."""
    if np.ptp(x, axis=2).max() > 1e-3:
        return x
    warmth = rng.uniform(0.1, 0.5) * (0.4 + 0.6 * strength)
    green = rng.uniform(-0.1, 0.3) * warmth  # above 0: olive, below: a reddish brown
    gammas = np.array([1 - warmth, 1 - green, 1 + warmth], np.float32)
    return power(x + 1e-4, gammas)


def fade(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Blacks turn grey, whites dull, and the tone curve bends."""
    black, white = rng.uniform(0, 0.3) * strength, 1 - rng.uniform(0, 0.25) * strength
    gamma = math.exp(rng.uniform(-0.6, 0.6) * strength)
    return black + (white - black) * power(x, np.float32(gamma))


def dyes(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Each dye loses density at its own pace, which casts a colour, and the picture loses saturation.

    Density is -log of the reflected light; cyan, magenta and yellow dye hold back red, green and blue.
    """
    kept = 1 - rng.uniform(0, 0.6, 3).astype(np.float32) * strength
    x = power(np.maximum(x, 0.02), kept)
    plane = x.mean(axis=2, keepdims=True)
    return blend(x, plane, np.full_like(plane, rng.uniform(0, 0.6) * strength))


def blotches(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Clouds where it has faded more or darkened, of one colour."""
    shape = x.shape[:2]
    cloud = clouds(rng, shape, log_uniform(rng, 20, 160))[..., None]
    amount = rng.uniform(0.03, 0.2) * strength
    colour = rng.uniform(0.3, 1, 3).astype(np.float32)
    if rng.random() < 0.5:  # pale: towards paper
        return blend(x, 1, np.clip(amount * 1.5 * cloud * colour, 0, 0.7))
    return blend(x, 0, np.clip(amount * cloud * colour, -0.5, 0.6))


def yellowing(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Paper and varnish turn cream to brown, here more and there less."""
    shape = x.shape[:2]
    held_back = np.array([0.1, 0.3, 1], np.float32) + rng.uniform(-0.1, 0.15, 3).astype(np.float32)
    uneven = np.clip(1 + 0.25 * clouds(rng, shape, log_uniform(rng, 40, 200)), 0, 1.8)[..., None]
    return blend(x, 0, rng.uniform(0.03, 0.45) * strength * uneven * held_back)


def stains(x: Rgb, rng: Random, strength: float) -> Rgb:
    """Dried liquids: brown patches with a darker rim, or bleached ones."""
    shape = x.shape[:2]
    for _ in range(rng.integers(1, 4)):
        size = log_uniform(rng, 6, 0.5 * max(shape))
        from_centre = radius(shape, somewhere(rng, shape), rng.uniform(0.7, 1.5))
        depth = size - from_centre + 0.2 * size * rough(rng, shape, size)  # pixels inside the border, roughly
        rim = bell((depth - 1.5) / rng.uniform(1, 3)) * rng.uniform(0, 0.8)
        alpha = np.clip(depth / 2, 0, 1) * rng.uniform(0.15, 0.6) + rim
        if rng.random() < 0.75:
            colour = x * np.array([0.75, 0.55, 0.3], np.float32) * rng.uniform(0.6, 1.2)
        else:
            colour = 0.5 + 0.5 * x
        x = blend(x, colour, np.clip(alpha * (0.4 + 0.6 * strength), 0, 1))
    return x
