"""Landscapes, drawn: a scene as a "photo", or laid down again in brush strokes as a "painting"."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from monet.sizes import SIDE

Kind = Literal["photo", "painting"]
Field = NDArray[Any]
"""float32 values, mostly 0 to 1."""

_NOISE_SIDE = 640


def draw(seed: int, kind: Kind, index: int) -> Image.Image:
    """Draws one picture: 256×256, RGB."""
    rng = np.random.default_rng([seed, ("photo", "painting").index(kind), index])
    scene = _scene(rng, bright=kind == "painting")
    return _brushed(scene, rng) if kind == "painting" else _photographed(scene, rng)


# --- noise ----------------------------------------------------------------------------------------------------------


@cache
def _noise_bank() -> list[Field]:
    """Draws fractal noise fields of 640×640, mean 0, standard deviation 1; pictures take crops of them."""
    rng = np.random.default_rng(20)
    return [_fractal(rng, roughness) for roughness in (0.45, 0.55, 0.7, 0.95) for _ in range(6)]


def _fractal(rng: np.random.Generator, roughness: float) -> Field:
    total: Field = np.zeros((_NOISE_SIDE, _NOISE_SIDE), np.float32)
    for octave in range(2, 10):
        grid = Image.fromarray(rng.standard_normal((2**octave, 2**octave)).astype(np.float32))
        enlarged = grid.resize((_NOISE_SIDE, _NOISE_SIDE), Image.Resampling.BICUBIC)
        total += np.asarray(enlarged) * roughness**octave
    return (total - total.mean()) / total.std()


def _noise(rng: np.random.Generator, roughness: int, stretch: float = 1.0) -> Field:
    """Returns a crop of 256×256 from the bank. `roughness` 0 to 3; `stretch` above 1 flattens it into horizontal
    streaks."""
    field = _noise_bank()[6 * roughness + int(rng.integers(6))]
    height = min(int(SIDE * stretch), _NOISE_SIDE)
    top, left = rng.integers(0, [_NOISE_SIDE - height + 1, _NOISE_SIDE - SIDE + 1])
    crop = field[top : top + height, left : left + SIDE][:, :: int(rng.choice([-1, 1]))]
    if height == SIDE:
        return crop
    return np.asarray(Image.fromarray(np.ascontiguousarray(crop)).resize((SIDE, SIDE), Image.Resampling.BOX))


def _step(values: Field, low: float, high: float) -> Field:
    """Rises smoothly from 0 at `low` to 1 at `high`."""
    share = np.clip((values - low) / (high - low), 0, 1)
    return share * share * (3 - 2 * share)


# --- scenes ---------------------------------------------------------------------------------------------------------

# Light: zenith, horizon, sunlight, shade; each RGB from 0 to 1.
_LIGHTS = np.array(
    [
        [[0.30, 0.52, 0.82], [0.74, 0.85, 0.94], [1.00, 0.97, 0.88], [0.30, 0.36, 0.46]],  # noon
        [[0.36, 0.45, 0.68], [0.96, 0.77, 0.58], [1.00, 0.82, 0.58], [0.34, 0.32, 0.42]],  # morning
        [[0.30, 0.34, 0.55], [0.95, 0.62, 0.42], [1.00, 0.74, 0.52], [0.26, 0.25, 0.36]],  # sunset
        [[0.62, 0.67, 0.72], [0.83, 0.85, 0.86], [0.86, 0.87, 0.86], [0.36, 0.39, 0.42]],  # overcast
        [[0.42, 0.55, 0.72], [0.88, 0.88, 0.84], [1.00, 0.95, 0.80], [0.32, 0.36, 0.40]],  # haze
    ],
    np.float32,
)
# What grows: meadow, dry grass, heath, spring, autumn.
_GROUNDS = np.array(
    [[0.33, 0.46, 0.18], [0.62, 0.55, 0.27], [0.45, 0.36, 0.30], [0.44, 0.58, 0.24], [0.56, 0.38, 0.16]], np.float32
)


def _scene(rng: np.random.Generator, *, bright: bool) -> Field:
    """Draws a landscape: sky, clouds, hills, water or meadow, trees. Shape (256, 256, 3), 0 to 1."""
    light = _LIGHTS[rng.integers(len(_LIGHTS))] + rng.normal(0, 0.025, (4, 3)).astype(np.float32)
    if bright:
        light = np.clip(light * 1.05 + 0.03, 0, 1)
    ground = np.clip(_GROUNDS[rng.integers(len(_GROUNDS))] + rng.normal(0, 0.04, 3), 0, 1).astype(np.float32)
    horizon = int(SIDE * rng.uniform(0.35, 0.68))
    image = _sky(rng, light, horizon)
    image = _hills(rng, image, light, ground, horizon)
    water = rng.random() < 0.5
    # Trees on the far shore are mirrored in the water, so they are drawn before it.
    for _ in range(int(rng.integers(0, 9))):
        _tree(rng, image, light, ground, horizon + 1, SIDE * rng.uniform(0.03, 0.15))
    image = _water(rng, image, light, horizon) if water else _meadow(rng, image, light, ground, horizon)
    if water and rng.random() < 0.6:
        image = _bank(rng, image, light, ground)
    nearness = np.sort(rng.uniform(0, 1, int(rng.integers(0, 5))))
    for near in nearness:
        if not water:
            base = horizon + near * (SIDE - horizon) * 0.7
            _tree(rng, image, light, ground, base, SIDE * (0.12 + 0.5 * near) * rng.uniform(0.7, 1.2))
        elif near > 0.6:
            _tree(rng, image, light, ground, SIDE + 8, SIDE * rng.uniform(0.5, 1.05))
    return np.clip(image, 0, 1)


def _sky(rng: np.random.Generator, light: Field, horizon: int) -> Field:
    pixels = np.arange(SIDE, dtype=np.float32)
    height = np.clip(pixels / horizon, 0, 1)[:, None, None] ** rng.uniform(0.7, 1.6)
    image = light[0] * (1 - height) + light[1] * height
    sun_x, sun_y = rng.uniform(0, SIDE), horizon * rng.uniform(0.1, 1.0)
    distance = np.hypot((pixels - sun_x)[None], (pixels - sun_y)[:, None])[..., None]
    image = image + (light[2] - image) * np.exp(-distance / rng.uniform(20, 90)) * rng.uniform(0.3, 1.0)
    cover = rng.uniform(-0.6, 1.6)
    clouds = _noise(rng, int(rng.integers(0, 2)), stretch=rng.uniform(1.2, 2.4))
    amount = _step(clouds, cover, cover + rng.uniform(0.5, 1.6))[..., None] * 0.9
    shade = _step(_noise(rng, 1), -1.5, 1.5)[..., None]
    cloud = light[2] * shade + (light[1] * 0.55 + light[3] * 0.45) * (1 - shade)
    return image * (1 - amount) + cloud * amount


def _hills(rng: np.random.Generator, image: Field, light: Field, ground: Field, horizon: int) -> Field:
    y = np.arange(SIDE, dtype=np.float32)[:, None]
    layers = int(rng.integers(1, 5))
    for layer in range(layers):
        near = (layer + 1) / layers
        ridge = _noise(rng, int(rng.integers(0, 2)))[int(rng.integers(SIDE))]
        top = horizon - (1 - near) * SIDE * 0.22 - ridge * SIDE * rng.uniform(0.015, 0.07) - 4
        mask = _step(y - top[None], -0.7, 0.7)[..., None]
        folds = _noise(rng, 1)
        texture = (np.gradient(folds, axis=1) * 2.2 + _noise(rng, 3) * 0.07)[..., None]
        lit = ground * (0.45 + 0.55 * light[2]) * (1 + texture)
        colour = lit * near + (light[1] * 0.55 + light[0] * 0.45) * (1 - near)
        image = image * (1 - mask) + colour * mask
    return image


def _water(rng: np.random.Generator, image: Field, light: Field, horizon: int) -> Field:
    """Mirrors what stands above the horizon, displaced by ripples that grow towards the viewer."""
    rows = np.arange(horizon, SIDE)
    depth = ((rows - horizon) / (SIDE - horizon)).astype(np.float32)[:, None]
    ripple = _noise(rng, 3, stretch=2.5)[: len(rows)] * (1.0 + 6 * depth) * rng.uniform(0.2, 1.0)
    source = np.clip(2 * horizon - rows[:, None] - np.abs(ripple) - 1, 0, SIDE - 1).astype(np.int64)
    across = np.clip(np.arange(SIDE)[None] + ripple, 0, SIDE - 1).astype(np.int64)
    mirrored = image[source, across]
    deep = light[3] * np.array([0.6, 0.95, 1.05], np.float32)
    share = (0.18 + 0.42 * depth)[..., None]
    glint = _step(ripple / (1 + 6 * depth), 0.9, 1.6)[..., None] * 0.35
    surface = mirrored * (1 - share) + deep * share
    result = image.copy()
    result[horizon:] = surface * (1 - glint) + light[2] * glint
    return result


def _meadow(rng: np.random.Generator, image: Field, light: Field, ground: Field, horizon: int) -> Field:
    rows = np.arange(horizon, SIDE)
    depth = ((rows - horizon) / (SIDE - horizon)).astype(np.float32)[:, None, None]
    count = len(rows)
    coarse = _noise(rng, 1, stretch=2.2)[:count, :, None] * 0.16
    fine = _noise(rng, 3, stretch=1.5)[:count, :, None] * 0.20 * (0.3 + depth)
    colour = ground * (0.5 + 0.5 * light[2]) * (0.82 + 0.25 * depth + coarse + fine)
    far = light[1] * 0.35 + colour * 0.65
    colour = far * (1 - depth) + colour * depth
    if rng.random() < 0.45:
        flower = np.array([(0.85, 0.2, 0.15), (0.9, 0.8, 0.25), (0.75, 0.6, 0.85), (0.95, 0.93, 0.88)], np.float32)
        bloom = _step(_noise(rng, 1)[:count] + 1.3 * _noise(rng, 3)[:count], 2.2, 2.7)
        colour = colour + (flower[rng.integers(4)] * light[2] - colour) * bloom[..., None] * (0.3 + 0.7 * depth)
    result = image.copy()
    result[horizon:] = colour
    return result


def _bank(rng: np.random.Generator, image: Field, light: Field, ground: Field) -> Field:
    """Draws a near shore that closes the picture below."""
    edge = SIDE * rng.uniform(0.82, 0.95) - _noise(rng, 1)[int(rng.integers(SIDE))] * 7
    edge = edge + np.linspace(-1, 1, SIDE, dtype=np.float32) * rng.uniform(-30, 30)
    mask = _step(np.arange(SIDE, dtype=np.float32)[:, None] - edge[None], -1, 1)[..., None]
    colour = ground * (0.4 + 0.5 * light[2]) * (0.8 + 0.12 * _noise(rng, 2) + 0.12 * _noise(rng, 3))[..., None]
    return image * (1 - mask) + colour * mask


def _tree(rng: np.random.Generator, image: Field, light: Field, ground: Field, base: float, height: float) -> None:
    """Draws a round tree, a poplar or a conifer into the image: its foot at `base`, so many pixels high."""
    shape = rng.choice(["round", "poplar", "conifer"])
    half_width = height * {"round": 0.34, "poplar": 0.11, "conifer": 0.2}[shape] * rng.uniform(0.8, 1.2)
    x = rng.uniform(0.0, 1.0) * SIDE
    left, right = (int(np.clip(x + side * (half_width * 1.3 + 3), 0, SIDE)) for side in (-1, 1))
    top, bottom = (int(np.clip(edge, 0, SIDE)) for edge in (base - height * 1.05 - 3, base + 2))
    if right - left < 2 or bottom - top < 2:
        return
    foliage = Image.new("L", (right - left, bottom - top))
    pen = ImageDraw.Draw(foliage)
    foot, stem = (x - left, base - top), height * 0.5
    pen.line((*foot, foot[0], foot[1] - stem), fill=255, width=max(1, int(height * 0.035)))
    for rise, across, size in _blobs(rng, str(shape), 60 + int(height)):
        centre_x, centre_y = foot[0] + across * half_width, foot[1] - rise * height
        radius = max(1.0, size * height)
        pen.ellipse((centre_x - radius, centre_y - 0.7 * radius, centre_x + radius, centre_y + 0.7 * radius), fill=255)
    texture = _noise(rng, 3)[: bottom - top, : right - left]
    soft = np.asarray(foliage.filter(ImageFilter.BoxBlur(1)), np.float32) / 255
    mask = _step(soft + texture * 0.16, 0.4, 0.75)[..., None]
    columns = np.arange(left, right, dtype=np.float32)
    lit = 0.8 + 0.25 * np.clip((x - columns) / half_width * rng.choice([-1.0, 1.0]), -1, 1)
    leaf = ground * np.array([0.72, 0.86, 0.60], np.float32) * rng.uniform(0.65, 1.0) + 0.02
    colour = leaf * (0.4 + 0.6 * light[2]) * (lit[None] + 0.22 * texture)[..., None]
    haze = 0.45 * (1 - min(1.0, height / (0.45 * SIDE)))
    colour = colour * (1 - haze) + light[1] * haze
    window = image[top:bottom, left:right]
    window += (colour - window) * mask


def _blobs(rng: np.random.Generator, shape: str, count: int) -> NDArray[np.float64]:
    """Tufts of leaves, shape (count, 3): rise (share of the height), offset (share of the half width), radius (share
    of the height)."""
    rise = rng.uniform(0.12 if shape == "conifer" else 0.28, 1.0, count)
    inward = rng.uniform(0, 1, count) ** 0.7 * rng.choice([-1.0, 1.0], count)
    if shape == "conifer":
        spread = (1.02 - rise) * (0.75 + 0.25 * np.cos(rise * 40))
    else:
        middle, reach = (0.63, 0.38) if shape == "round" else (0.6, 0.42)
        spread = np.sqrt(np.clip(1 - ((rise - middle) / reach) ** 2, 0.02, 1))
    radius = rng.uniform(0.018, 0.05, count) + 0.035 * (1 - np.abs(inward)) * (shape == "round")
    return np.stack([rise, inward * spread, radius], -1)


# --- rendering ------------------------------------------------------------------------------------------------------


def _photographed(scene: Field, rng: np.random.Generator) -> Image.Image:
    """Lens and sensor: vignette, exposure, contrast, grain."""
    across = np.linspace(-1, 1, SIDE, dtype=np.float32) ** 2
    vignette = 1 - rng.uniform(0.02, 0.16) * (across[:, None] + across[None])
    grey = scene.mean(-1, keepdims=True)
    values = grey + (scene - grey) * rng.uniform(0.75, 1.05)
    values = (values - 0.5) * rng.uniform(0.95, 1.2) + 0.5 + rng.uniform(-0.05, 0.03)
    values = values * vignette[..., None] + rng.standard_normal(scene.shape, np.float32) * 0.012
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def _brushed(scene: Field, rng: np.random.Generator) -> Image.Image:
    """Draws three layers of strokes, broad to fine, that follow the forms and the brush's own swing."""
    scene = _palette(scene, rng)
    picture = Image.fromarray((scene * 255).astype(np.uint8))
    canvas = picture.filter(ImageFilter.GaussianBlur(9))
    relief = Image.new("L", (SIDE, SIDE), 128)
    angles = _flow(scene, rng)
    for width, spacing, blur in ((13, 9.0, 4), (7, 5.5, 2), (4, 4.2, 1)):
        colours = np.asarray(picture.filter(ImageFilter.GaussianBlur(blur)), np.float32)
        share = 0.55 if width == 4 else 1.0
        _lay_strokes(canvas, relief, colours, angles, rng, width, spacing, share)
    heights = np.asarray(relief.filter(ImageFilter.GaussianBlur(0.6)), np.float32)
    emboss = (heights - np.roll(heights, (1, 1), (0, 1))) / 255
    values = np.asarray(canvas, np.float32) / 255 + 0.30 * emboss[..., None]
    return Image.fromarray((np.clip(values, 0, 1) * 255).astype(np.uint8))


def _palette(scene: Field, rng: np.random.Generator) -> Field:
    """Returns purer, lighter colours; shadows lean to violet and blue."""
    grey = scene.mean(-1, keepdims=True)
    values = grey + (scene - grey) * rng.uniform(1.15, 1.5)
    shadow = np.clip(0.55 - grey, 0, 1)
    values = values * 0.86 + 0.10 + shadow * np.array([0.10, 0.02, 0.24], np.float32)
    return np.clip(values, 0, 1).astype(np.float32)


def _flow(scene: Field, rng: np.random.Generator) -> Field:
    """Returns the direction of the brush at every pixel, in radians: along edges where there are some, else in slow
    curves."""
    grey = np.asarray(
        Image.fromarray((scene.mean(-1) * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(4)), np.float32
    )
    down, across = np.gradient(grey)
    strength = _step(np.hypot(down, across), 0.4, 2.0)
    along = np.arctan2(across, -down)
    swing = _noise(rng, 0) * 0.9 + rng.uniform(-0.6, 0.6)
    # Directions without sign are averaged at twice the angle.
    x = strength * np.cos(2 * along) + (1 - strength) * np.cos(2 * swing)
    y = strength * np.sin(2 * along) + (1 - strength) * np.sin(2 * swing)
    return np.arctan2(y, x) / 2


def _lay_strokes(
    canvas: Image.Image,
    relief: Image.Image,
    colours: Field,
    angles: Field,
    rng: np.random.Generator,
    width: int,
    spacing: float,
    share: float,
) -> None:
    """Draws strokes of one width in random order at jittered grid points, on the canvas and on its relief."""
    grid = np.arange(0, SIDE + spacing, spacing)
    points = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    points = rng.permutation(points + rng.normal(0, spacing * 0.4, points.shape))[: int(len(points) * share)]
    pixels = np.clip(points, 0, SIDE - 1).astype(np.int64)
    angle = angles[pixels[:, 1], pixels[:, 0]] + rng.normal(0, 0.22, len(points))
    half = width * rng.uniform(1.0, 2.2, len(points))
    reach = np.stack([np.cos(angle), np.sin(angle)], -1) * half[:, None]
    ends = np.concatenate([points - reach, points + reach], -1).tolist()
    jitter = rng.normal(0, 10, (len(points), 3)) + rng.normal(0, 9, (len(points), 1))
    colour = np.clip(colours[pixels[:, 1], pixels[:, 0]] + jitter, 0, 255).astype(int).tolist()
    height = rng.integers(60, 200, len(points)).tolist()
    pen, relief_pen = ImageDraw.Draw(canvas), ImageDraw.Draw(relief)
    for end, fill, level in zip(ends, colour, height, strict=True):
        pen.line(end, fill=tuple(fill), width=width)
        relief_pen.line(end, fill=level, width=width)
