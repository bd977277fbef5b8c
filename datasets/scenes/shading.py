"""Light: a sun and a sky, what a surface sends back to the eye, and what a metal sees around it."""

from dataclasses import dataclass

import numpy as np

from .noise import NoiseTile, smoothstep
from .sdf import Array
from .solid import Surface


@dataclass(frozen=True)
class Light:
    """Outdoor light in linear RGB.

    Attributes:
        sun: (3,) unit vector towards the sun.
        sun_color: (3,) radiance of a white sheet that faces the sun.
        sun_radius: tangent of the sun's apparent radius; haze makes it larger.
        zenith, horizon: (3,) radiance of the sky straight up and near the horizon.
        bounce: (3,) radiance of the sunlit ground.
        clouds: tile that draws the clouds and the skyline which metals reflect.
    """

    sun: Array
    sun_color: Array
    sun_radius: float
    zenith: Array
    horizon: Array
    bounce: Array
    clouds: NoiseTile

    @property
    def sky(self) -> Array:
        """(3,) radiance of a level white sheet under the sky alone."""
        return 0.6 * self.zenith + 0.4 * self.horizon

    def environment(self, d: Array, rough: Array) -> Array:
        """Radiance (N, 3) from directions d (3, N), blurred for a surface of roughness (N,)."""
        up = d[2]
        sky = self.horizon + (self.zenith - self.horizon) * smoothstep(0.02, 0.75, up)[:, None]
        puff = self.clouds.fbm(d[0] / (up.clip(0) + 0.45) * 2.3, d[1] / (up.clip(0) + 0.45) * 2.3, 4)
        cloud = smoothstep(-0.6, 0.6, puff)
        cloud = cloud + (0.5 - cloud) * 0.7 * np.sqrt(rough)
        sky = sky + cloud[:, None] * (2.3 * self.horizon - sky) * 0.85
        facing = np.clip(self.sun @ d, 0, 1)
        sky = sky + self.sun_color * (0.16 * facing**4 + 0.25 * facing**40)[:, None]
        skyline = 0.13 + 0.08 * self.clouds(np.arctan2(d[1], d[0]) * 3 + 9, np.zeros_like(up))
        blur = 0.03 + 0.55 * rough
        below = smoothstep(0, 1, (skyline - up) / blur + 0.5)[:, None]
        ground = smoothstep(0, 1, -up / blur + 0.5)[:, None]
        scene = sky * (1 - below) + 0.09 * self.horizon * below
        return (scene * (1 - ground) + self.bounce * ground).astype(np.float32)


def shade(
    surface: Surface, normal: Array, view: Array, light: Light, sunlit: Array, openness: Array
) -> Array:
    """Radiance (N, 3) that a surface sends along `view`.

    Sun: Lambert and GGX with Schlick's Fresnel; sky and ground: a two-colour hemisphere for the diffuse
    part and the environment along the mirror direction for the reflection.

    Args:
        surface: N points.
        normal, view: (3, N) unit vectors; `view` points to the eye.
        light: sun and sky.
        sunlit, openness: (N,) shares of the sun and of the sky that arrive, in [0, 1].
    """
    facing = np.clip((normal * view).sum(axis=0), 0.02, 1)
    level = np.clip(light.sun @ normal, 0, 1)
    diffuse = surface.albedo * (1 - surface.metal)[:, None]
    f0 = 0.04 * (1 - surface.metal)[:, None] + surface.albedo * surface.metal[:, None]

    half = view + light.sun[:, None]
    half = half / np.sqrt((half * half).sum(axis=0))
    nh, vh = np.clip((normal * half).sum(axis=0), 0, 1), np.clip((view * half).sum(axis=0), 0, 1)
    a2 = np.clip(surface.rough, 0.08, 1) ** 4
    lobe = a2 / (np.pi * (nh * nh * (a2 - 1) + 1) ** 2)
    visible = 0.25 / np.maximum(0.5 * (level + facing), 0.05)
    fresnel = f0 + (1 - f0) * ((1 - vh) ** 5)[:, None]
    sun = diffuse / np.pi + fresnel * (lobe * visible)[:, None]
    sun = sun * np.pi * light.sun_color * (level * sunlit)[:, None]

    hemisphere = (0.5 + 0.5 * normal[2])[:, None]
    ambient = light.bounce * 0.8 * (1 - hemisphere) + light.sky * hemisphere
    mirror = 2 * facing * normal - view
    gloss = (1 - surface.rough)[:, None]
    glancing = f0 + np.maximum(gloss - f0, 0) * ((1 - facing) ** 5)[:, None]
    specular = light.environment(mirror, surface.rough) * glancing * (openness**1.3)[:, None]
    out = sun + diffuse * ambient * openness[:, None] + specular
    return np.asarray(np.minimum(out, 6), np.float32)


def sun_vector(azimuth: float, elevation: float) -> Array:
    """Unit vector to a sun at `azimuth` degrees counter-clockwise from the image's right."""
    a, e = np.radians(azimuth), np.radians(elevation)
    return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)], dtype=np.float32)


def daylight(azimuth: float, elevation: float, haze: float, ground_albedo: Array, clouds: NoiseTile) -> Light:
    """Sun and sky for a sun at `elevation` degrees; `haze` from 0 (clear) to 1 (overcast)."""
    warm = float(np.exp(-max(elevation, 3.0) / 22.0))
    tint = np.array([1.0, 0.97 - 0.22 * warm, 0.92 - 0.46 * warm], np.float32)
    sun_color = tint * np.float32(3.3 * (1 - 0.93 * haze))
    clear = np.array([0.30, 0.36, 0.46], np.float32)
    overcast = np.array([0.98, 1.0, 1.03], np.float32)
    zenith = clear * (1 - haze) + overcast * haze
    horizon = np.array([0.74, 0.75, 0.75], np.float32) * np.float32(1 - 0.1 * haze)
    sun = sun_vector(azimuth, elevation)
    bounce = ground_albedo * (sun_color * sun[2] + 0.6 * zenith + 0.4 * horizon)
    radius = 0.035 + 0.22 * haze
    return Light(sun, sun_color, radius, zenith, horizon, bounce.astype(np.float32), clouds)
