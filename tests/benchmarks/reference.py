"""CycleGAN as its public implementations have it: eager, fp32, each of the six generator passes on its own; every image
opened, resized and cropped with Pillow when its turn comes; painted one batch at a time with Pillow between."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn


def generator(width: int, residual_blocks: int) -> nn.Module:
    """c7s1-64, d128, d256, R256 × n, u128, u64, c7s1-3."""
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU(True)]
    for channels in (width, 2 * width):
        layers += [nn.Conv2d(channels, 2 * channels, 3, 2, 1), nn.InstanceNorm2d(2 * channels), nn.ReLU(True)]
    layers += [Residual(4 * width) for _ in range(residual_blocks)]
    for channels in (4 * width, 2 * width):
        layers += [
            nn.ConvTranspose2d(channels, channels // 2, 3, 2, 1, 1),
            nn.InstanceNorm2d(channels // 2),
            nn.ReLU(True),
        ]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


class Residual(nn.Module):
    """Two 3×3 convolutions around which the input is carried."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels), nn.ReLU(True)),
            *(nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) => the same."""
        return x + self.layers(x)


def discriminator(width: int) -> nn.Module:
    """C64-C128-C256-C512 and a verdict a patch."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 4, 2, 1), nn.LeakyReLU(0.2, True)]
    for inputs, outputs, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
        layers += [
            nn.Conv2d(width * inputs, width * outputs, 4, stride, 1),
            nn.InstanceNorm2d(width * outputs),
            nn.LeakyReLU(0.2, True),
        ]
    return nn.Sequential(*layers, nn.Conv2d(width * 8, 1, 4, 1, 1))


class Pool:
    """The history of 50 fakes."""

    def __init__(self, size: int = 50) -> None:
        self.size, self.images = size, list[Tensor]()

    def query(self, fakes: Tensor) -> Tensor:
        """New and earlier fakes."""
        shown = []
        for fake in torch.split(fakes.detach(), 1):
            if len(self.images) < self.size:
                self.images.append(fake)
                shown.append(fake)
            elif random.random() < 0.5:
                slot = random.randrange(self.size)
                shown.append(self.images[slot])
                self.images[slot] = fake
            else:
                shown.append(fake)
        return torch.cat(shown)


class CycleGan:
    """Four networks, two optimizers, two pools."""

    def __init__(self, width: int, residual_blocks: int, device: torch.device, discriminator_width: int = 64) -> None:
        self.g_ab, self.g_ba = (generator(width, residual_blocks).to(device) for _ in range(2))
        self.d_a, self.d_b = (discriminator(discriminator_width).to(device) for _ in range(2))
        for network in (self.g_ab, self.g_ba, self.d_a, self.d_b):
            for parameter in network.parameters():
                nn.init.normal_(parameter, 0, 0.02) if parameter.ndim > 1 else nn.init.zeros_(parameter)
        self.optimizer_g = torch.optim.Adam([*self.g_ab.parameters(), *self.g_ba.parameters()], 2e-4, (0.5, 0.999))
        self.optimizer_d = torch.optim.Adam([*self.d_a.parameters(), *self.d_b.parameters()], 2e-4, (0.5, 0.999))
        self.pool_a, self.pool_b = Pool(), Pool()

    def step(self, real_a: Tensor, real_b: Tensor) -> tuple[float, float]:
        """One step on (B, 3, H, W) in −1…1; returns the losses of generators and discriminators, for the log."""
        mse, l1 = nn.MSELoss(), nn.L1Loss()
        for network in (self.d_a, self.d_b):
            network.requires_grad_(False)
        fake_b, fake_a = self.g_ab(real_a), self.g_ba(real_b)
        cycled_a, cycled_b = self.g_ba(fake_b), self.g_ab(fake_a)
        same_a, same_b = self.g_ba(real_a), self.g_ab(real_b)
        verdict_a, verdict_b = self.d_a(fake_a), self.d_b(fake_b)
        loss = mse(verdict_a, torch.ones_like(verdict_a)) + mse(verdict_b, torch.ones_like(verdict_b))
        loss = loss + 10 * (l1(cycled_a, real_a) + l1(cycled_b, real_b)) + 5 * (l1(same_a, real_a) + l1(same_b, real_b))
        self.optimizer_g.zero_grad()
        loss.backward()
        self.optimizer_g.step()

        for network in (self.d_a, self.d_b):
            network.requires_grad_(True)
        self.optimizer_d.zero_grad()
        judgements = []
        for network, real, fake in (
            (self.d_a, real_a, self.pool_a.query(fake_a)),
            (self.d_b, real_b, self.pool_b.query(fake_b)),
        ):
            on_real, on_fake = network(real), network(fake)
            judged = mse(on_real, torch.ones_like(on_real)) + mse(on_fake, torch.zeros_like(on_fake))
            (0.5 * judged).backward()
            judgements.append(0.5 * judged.detach())
        self.optimizer_d.step()
        return float(loss.detach()), float(judgements[0] + judgements[1])


def load(photo: Path, load_size: int, crop_size: int) -> Tensor:
    """One image for training, (3, crop_size, crop_size) in −1…1."""
    image = Image.open(photo).convert("RGB").resize((load_size, load_size), Image.Resampling.BICUBIC)
    left, top = (random.randint(0, load_size - crop_size) for _ in range(2))
    image = image.crop((left, top, left + crop_size, top + crop_size))
    if random.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float() / 127.5 - 1


def paint(network: nn.Module, photos: Sequence[Path], path: Path, batch_size: int, device: torch.device) -> None:
    """Paints photos of 256×256 into an archive."""
    with torch.inference_mode(), zipfile.ZipFile(path, "w") as archive:
        for start in range(0, len(photos), batch_size):
            chosen = photos[start : start + batch_size]
            batch = np.stack([np.asarray(Image.open(photo).convert("RGB")) for photo in chosen])
            painted = network(torch.from_numpy(batch).permute(0, 3, 1, 2).float().to(device) / 127.5 - 1)
            pixels = ((painted + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).cpu().numpy()
            for photo, image in zip(chosen, pixels, strict=True):
                buffer = io.BytesIO()
                Image.fromarray(image).save(buffer, "JPEG", quality=95)
                archive.writestr(photo.name, buffer.getvalue())
