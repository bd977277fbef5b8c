"""Changes of colour and sharpness; boxes stay."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from pocketdet.training.sample import Image


def ssd_distort(image: Image, rng: np.random.Generator) -> Image:
    """Brightness, contrast, saturation and hue, each half of the time. SSD section 2.2, data augmentation."""
    pixels = image.astype(np.float32)
    if rng.random() < 0.5:
        pixels += rng.uniform(-32, 32)
    contrast_first = rng.random() < 0.5
    if contrast_first and rng.random() < 0.5:
        pixels *= rng.uniform(0.5, 1.5)
    hsv = cv2.cvtColor(np.clip(pixels, 0, 255).astype(np.uint8), cv2.COLOR_RGB2HSV).astype(np.float32)
    if rng.random() < 0.5:
        hsv[..., 1] *= rng.uniform(0.5, 1.5)
    if rng.random() < 0.5:
        hsv[..., 0] = (hsv[..., 0] + rng.uniform(-9, 9)) % 180
    pixels = cv2.cvtColor(np.clip(hsv, 0, 255).astype(np.uint8), cv2.COLOR_HSV2RGB).astype(np.float32)
    if not contrast_first and rng.random() < 0.5:
        pixels *= rng.uniform(0.5, 1.5)
    return np.clip(pixels, 0, 255).astype(np.uint8)


def recolour(image: Image, rng: np.random.Generator, strength: float = 1.0) -> Image:
    """Exposure, tint, gamma and contrast by one table; then, sometimes, saturation and hue."""
    if rng.random() < 0.85:
        image = cv2.LUT(image, _tone_table(rng, strength)[None])  # type: ignore[assignment]
    if rng.random() < 0.5:
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None].repeat(3, axis=2)
        saturation = float(np.clip(rng.normal(1, 0.25), 0, 1.7)) if rng.random() < 0.93 else 0.0
        image = cv2.addWeighted(image, saturation, grey, 1 - saturation, 0)  # type: ignore[assignment]
    if rng.random() < 0.25:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(np.int16) + int(rng.integers(-8, 9))) % 180
        image = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)  # type: ignore[assignment]
    return image


def _tone_table(rng: np.random.Generator, strength: float) -> NDArray[np.uint8]:
    """(256, 3): what each value of each channel becomes."""
    gain = np.exp(rng.normal(0, 0.16 * strength) + rng.normal(0, 0.05 * strength, 3))
    contrast, gamma = np.exp(rng.normal(0, 0.15 * strength)), np.exp(rng.normal(0, 0.22 * strength))
    curve = np.linspace(0, 1, 256)[:, None] ** gamma * 255
    curve = ((curve - 128) * contrast + 128) * gain + rng.normal(0, 9 * strength)
    table: NDArray[np.uint8] = np.clip(curve, 0, 255).astype(np.uint8)
    return table


def degrade(image: Image, rng: np.random.Generator) -> Image:
    """Sometimes out of focus or shaken, sometimes noisy."""
    draw = rng.random()
    if draw < 0.12:
        image = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.6)))  # type: ignore[assignment]
    elif draw < 0.18:
        image = cv2.filter2D(image, -1, _streak(rng))  # type: ignore[assignment]
    if rng.random() < 0.12:
        noise = rng.normal(0, rng.uniform(3, 12), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def _streak(rng: np.random.Generator) -> NDArray[np.float32]:
    """The blur kernel of a camera that moves 3 to 7 pixels in a straight line."""
    size, angle = int(rng.integers(3, 8)), rng.uniform(0, math.pi)
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    dx, dy = middle * math.cos(angle), middle * math.sin(angle)
    start = (round(middle - dx), round(middle - dy))
    cv2.line(kernel, start, (round(middle + dx), round(middle + dy)), (1.0,))
    unit: NDArray[np.float32] = kernel / kernel.sum()
    return unit
