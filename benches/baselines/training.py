"""The networks of benches/training.rs in PyTorch, with the losses and optimisers of their authors' code."""

import torch
from torch import nn
from torch.nn import functional as F


def block(inputs, outputs, norm, slope):
    layers = [nn.Conv2d(inputs, outputs, 4, 2, 1)]
    if norm:
        layers.append(nn.BatchNorm2d(outputs))
    return layers + [nn.LeakyReLU(slope)]


def hidden(inputs, outputs, activation):
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), activation)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.vector = nn.Sequential(hidden(74, 512, nn.ReLU()), nn.Linear(512, 64 * 49))
        self.images = nn.Sequential(
            nn.BatchNorm2d(64), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1),
            nn.BatchNorm2d(32), nn.ReLU(), nn.ConvTranspose2d(32, 1, 4, 2, 1), nn.Sigmoid(),
        )

    def forward(self, code):
        return self.images(self.vector(code).view(-1, 64, 7, 7))


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.maps = nn.Sequential(*block(1, 32, False, 0.1), *block(32, 64, True, 0.1), nn.Flatten())
        self.hidden = hidden(64 * 49, 512, nn.LeakyReLU(0.1))
        self.score = nn.Linear(512, 1)
        self.code = nn.Sequential(hidden(512, 128, nn.LeakyReLU(0.1)), nn.Linear(128, 12))

    def forward(self, images):
        read = self.hidden(self.maps(images))
        return self.score(read), self.code(read)


def infogan_steps(count):
    g, d = Generator(), Discriminator()
    of_g = torch.optim.Adam(g.parameters(), lr=1e-3, betas=(0.5, 0.999))
    of_d = torch.optim.Adam(d.parameters(), lr=2e-4, betas=(0.5, 0.999))
    real = torch.rand(128, 1, 28, 28)

    def information(code, category, continuous):
        gaps = 0.5 * (code[:, 10:] - continuous).square().sum(1).mean()
        return F.cross_entropy(code[:, :10], category) + gaps

    def step():
        category = torch.randint(10, (128,))
        continuous = torch.rand(128, 2) * 2 - 1
        noise = torch.rand(128, 62) * 2 - 1
        made = g(torch.cat([noise, F.one_hot(category, 10).float(), continuous], 1))
        of_real, _ = d(real)
        score, code = d(made.detach())
        loss = F.softplus(-of_real).mean() + F.softplus(score).mean()
        of_d.zero_grad(set_to_none=True)
        (loss + information(code, category, continuous)).backward()
        of_d.step()
        score, code = d(made)
        of_g.zero_grad(set_to_none=True)
        (F.softplus(-score).mean() + information(code, category, continuous)).backward()
        of_g.step()

    return lambda: [step() for _ in range(int(count))]


class Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight):
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.weight * gradient, None


def dann_steps(count):
    backbone = nn.Sequential(
        nn.Conv2d(3, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 48, 5), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout2d(), nn.Flatten(),
    )
    label = nn.Sequential(hidden(768, 100, nn.ReLU()), hidden(100, 100, nn.ReLU()), nn.Linear(100, 10))
    domain = nn.Sequential(hidden(768, 100, nn.ReLU()), nn.Linear(100, 2))
    parameters = [p for net in (backbone, label, domain) for p in net.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
    images = torch.rand(128, 3, 28, 28)
    labels = torch.arange(128).remainder(10)
    domains = (torch.arange(128) >= 64).long()

    def step():
        features = backbone(images * 2 - 1)
        loss = F.cross_entropy(label(features), labels)
        loss = loss + F.cross_entropy(domain(Reversed.apply(features, 0.5)), domains)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()

    return lambda: [step() for _ in range(int(count))]
