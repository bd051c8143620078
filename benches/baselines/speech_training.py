"""The networks and losses of benches/speech_training.rs in PyTorch: the speech method in two configurations of the recipes.

The networks are those of PyTorch's own modules, in eager mode, with the faster of its two Adam optimisers (fused), one
gradient clip per network, and a moving average of the weights. bf16 is torch.autocast.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

MINI = {
    "bins": 40, "frames": 100, "speakers": 8, "utterances": 4, "classes": 48, "training_speakers": 24,
    "phonetic": {"channels": 64, "code_dim": 24, "subsampling": 2, "code_norm": False},
    "speaker": {"channels": 64, "embedding_dim": 32, "levels": 3}, "decoder": 64,
    "head": {"channels": 64, "layers": 3, "dropout": 0.2},
    "critic": {"channels": 96, "layers": 3, "dropout": 0.0, "steps": 3, "weight": 0.5},
    "speaker_weight": 0.1, "label_weight": 1.0, "cross_speaker": 0.0, "masks": (8, 6),
}
PHONES = {
    "bins": 80, "frames": 160, "speakers": 32, "utterances": 3, "classes": 40, "training_speakers": 330,
    "phonetic": {"channels": 128, "code_dim": 32, "subsampling": 4, "code_norm": True},
    "speaker": {"channels": 128, "embedding_dim": 128, "levels": 0}, "decoder": 96,
    "head": {"channels": 128, "layers": 3, "dropout": 0.2},
    "critic": {"channels": 96, "layers": 2, "dropout": 0.3, "steps": 2, "weight": 1.0},
    "speaker_weight": 2.0, "label_weight": 2.0, "cross_speaker": 0.5, "masks": (12, 12),
}
CONFIGURATIONS = {"mini": MINI, "phones": PHONES}


def quantise(x, levels):
    bounded = x.tanh()
    half = (levels - 1) / 2
    return bounded + (((bounded + 1) * half).round() / half - 1 - bounded).detach()


class PhoneticEncoder(nn.Module):
    def __init__(self, bins, channels, code_dim, subsampling, code_norm):
        super().__init__()
        self.strides = [1] + [2] * int(math.log2(subsampling)) + [1, 1]
        widths = [bins] + [channels] * len(self.strides)
        self.convs = nn.ModuleList(nn.Conv1d(widths[i], channels, 5, s, 2) for i, s in enumerate(self.strides))
        self.norm = nn.InstanceNorm1d(channels)
        self.code = nn.Conv1d(channels, code_dim, 1)
        self.code_norm = nn.InstanceNorm1d(code_dim) if code_norm else nn.Identity()

    def forward(self, x):
        for index, (conv, stride) in enumerate(zip(self.convs, self.strides)):
            y = F.relu(self.norm(conv(x)), inplace=True)
            x = y + x if index > 0 and stride == 1 else y
        return quantise(self.code_norm(self.code(x)), 3)


class SpeakerEncoder(nn.Module):
    def __init__(self, bins, channels, embedding_dim, levels):
        super().__init__()
        layers, inputs = [], bins
        for kernel, dilation in [(5, 1), (3, 2), (3, 3), (1, 1)]:
            padding = dilation * (kernel - 1) // 2
            layers += [nn.Conv1d(inputs, channels, kernel, 1, padding, dilation), nn.ReLU(inplace=True)]
            layers.append(nn.BatchNorm1d(channels))
            inputs = channels
        self.layers = nn.Sequential(*layers)
        self.scores = nn.Sequential(nn.Conv1d(channels, channels // 2, 1), nn.Tanh(), nn.Conv1d(channels // 2, channels, 1))
        self.norm = nn.BatchNorm1d(2 * channels)
        self.embedding = nn.Linear(2 * channels, embedding_dim)
        self.levels = levels

    def forward(self, x):
        x = self.layers(x)
        weights = self.scores(x).softmax(2)
        mean = (weights * x).sum(2, keepdim=True)
        variance = (weights * (x - mean).square()).sum(2)
        embeds = self.embedding(self.norm(torch.cat([mean.squeeze(2), (variance + 1e-5).sqrt()], 1)))
        return F.normalize(quantise(embeds, self.levels) if self.levels else embeds)


class Decoder(nn.Module):
    def __init__(self, code_dim, channels, bins, embedding_dim, subsampling):
        super().__init__()
        self.doublings = [False] + [True] * int(math.log2(subsampling)) + [False, False]
        widths = [code_dim] + [channels] * len(self.doublings)
        self.convs = nn.ModuleList(nn.Conv1d(widths[i], channels, 5, 1, 2) for i in range(len(self.doublings)))
        self.films = nn.ModuleList(nn.Linear(embedding_dim, 2 * channels) for _ in self.doublings)
        for film in self.films:
            nn.init.zeros_(film.weight)
            nn.init.zeros_(film.bias)
        self.norm = nn.InstanceNorm1d(channels)
        self.output = nn.Conv1d(channels, bins, 5, 1, 2)

    def forward(self, x, embeds):
        for index, (conv, film, doubles) in enumerate(zip(self.convs, self.films, self.doublings)):
            if doubles:
                x = x.repeat_interleave(2, 2)
            scale, shift = film(embeds).unsqueeze(2).chunk(2, 1)
            y = F.relu(torch.addcmul(shift, self.norm(conv(x)), scale + 1), inplace=True)
            x = y if doubles or index == 0 else y + x
        return self.output(x)


class Classifier(nn.Module):
    def __init__(self, code_dim, classes, by_frame, channels, layers, dropout):
        super().__init__()
        self.input_norm = nn.BatchNorm1d(code_dim, affine=False)
        widths = [code_dim] + [channels] * layers
        self.convs = nn.ModuleList(nn.Conv1d(widths[i], channels, 5, 1, 2) for i in range(layers))
        self.norms = nn.ModuleList(nn.BatchNorm1d(channels) for _ in range(layers))
        self.dropout = nn.Dropout(dropout)
        self.by_frame = by_frame
        if by_frame:
            self.output = nn.Conv1d(channels, classes, 1)
        else:
            self.hidden = nn.Sequential(nn.Linear(3 * channels, channels), nn.BatchNorm1d(channels), nn.ReLU())
            self.output = nn.Linear(channels, classes)

    def forward(self, x):
        x = self.input_norm(x)
        for index, (conv, norm) in enumerate(zip(self.convs, self.norms)):
            y = F.relu(norm(conv(x)), inplace=True)
            x = self.dropout(y + x if index > 0 else y)
        if self.by_frame:
            return self.output(x)
        variance, mean = torch.var_mean(x, 2, correction=0)
        pooled = torch.cat([mean, (variance + 1e-5).sqrt(), x.amax(2)], 1)
        return self.output(self.dropout(self.hidden(pooled)))


def perturb(feats, masks):
    """Warps the mel axis by up to a tenth and masks a band of bins and one of frames."""
    batch, bins, frames = feats.shape
    position = ((1 + 0.1 * (2 * torch.rand(batch, 1) - 1)) * torch.arange(bins)).clamp(0, bins - 1)
    low = position.floor().long()
    read = [feats.gather(1, place.clamp(max=bins - 1).unsqueeze(2).expand_as(feats)) for place in (low, low + 1)]
    feats = torch.lerp(read[0], read[1], (position - low).unsqueeze(2))
    for size, widest, shape in ((bins, masks[0], (batch, bins, 1)), (frames, masks[1], (batch, 1, frames))):
        width = torch.rand(batch, 1) * widest
        start = torch.rand(batch, 1) * (size - width)
        place = torch.arange(size)
        inside = (place >= start) & (place < start + width)
        feats = feats.masked_fill(inside.view(shape), 0)
    return feats


def contrastive(embeds, speakers):
    """Supervised contrastive loss (Khosla et al. 2020)."""
    own = torch.eye(len(embeds), dtype=torch.bool)
    likelihoods = (embeds @ embeds.t() / 0.1).masked_fill(own, -1e9).log_softmax(1)
    positive = ((speakers[:, None] == speakers) & ~own).float()
    return -(likelihoods * positive).sum() / positive.sum()


class Speech:
    def __init__(self, given, bf16):
        self.given, self.bf16 = given, bf16
        phonetic, speaker, critic = given["phonetic"], given["speaker"], dict(given["critic"])
        self.critic_steps, self.critic_weight = critic.pop("steps"), critic.pop("weight")
        code_dim, bins = phonetic["code_dim"], given["bins"]
        self.encoder = PhoneticEncoder(bins, **phonetic)
        self.speaker_encoder = SpeakerEncoder(bins, **speaker)
        self.decoder = Decoder(code_dim, given["decoder"], bins, speaker["embedding_dim"], phonetic["subsampling"])
        self.head = Classifier(code_dim, given["classes"], True, **given["head"])
        self.critic = Classifier(code_dim, given["training_speakers"], False, **critic)
        self.networks = [self.encoder, self.speaker_encoder, self.decoder, self.head]
        self.parameters = [p for network in self.networks for p in network.parameters()]
        self.averages = [p.detach().clone() for p in self.parameters]
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        self.critic_optimiser = torch.optim.Adam(self.critic.parameters(), lr=1e-3, betas=(0.5, 0.9), fused=True)
        utterances = torch.arange(given["speakers"] * given["utterances"])
        self.speakers = utterances // given["utterances"]
        self.same = self.speakers * given["utterances"] + (utterances + 1) % given["utterances"]
        self.other = (utterances + given["utterances"]) % len(utterances)

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16)

    def critic_loss(self, feats):
        with self.autocast():
            with torch.no_grad():
                codes = self.encoder(perturb(feats, self.given["masks"]))
            logits = self.critic(codes)
        return F.cross_entropy(logits.float(), self.speakers)

    def joint_loss(self, feats, labels):
        given = self.given
        with self.autocast():
            codes = self.encoder(perturb(feats, given["masks"]))
            embeds = self.speaker_encoder(feats)
            decoded = self.decoder(codes, embeds[self.same])
            phones = self.head(codes)
            voices = self.critic(codes)
            again = self.encoder(self.decoder(codes, embeds[self.other])) if given["cross_speaker"] else None
        loss = F.l1_loss(decoded.float(), feats) + given["speaker_weight"] * contrastive(embeds.float(), self.speakers)
        labels = labels[:, :: given["phonetic"]["subsampling"]]
        loss = loss + given["label_weight"] * F.cross_entropy(phones.float(), labels)
        if again is not None:
            loss = loss + given["cross_speaker"] * F.l1_loss(again.float(), codes.float().detach())
        bound = math.log(given["training_speakers"])
        return loss - self.critic_weight * F.cross_entropy(voices.float(), self.speakers).clamp(max=bound)

    def step(self, feats, labels):
        for _ in range(self.critic_steps):
            self.critic_optimiser.zero_grad(set_to_none=True)
            self.critic_loss(feats).backward()
            nn.utils.clip_grad_norm_(self.critic.parameters(), 5.0)
            self.critic_optimiser.step()
        self.critic.requires_grad_(False)
        self.optimiser.zero_grad(set_to_none=True)
        self.joint_loss(feats, labels).backward()
        self.critic.requires_grad_(True)
        for network in self.networks:
            nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 0.02)


def speech_steps(configuration, precision, count):
    given = CONFIGURATIONS[configuration]
    batch = given["speakers"] * given["utterances"]
    feats = torch.randn(batch, given["bins"], given["frames"])
    labels = torch.randint(given["classes"], (batch, given["frames"]))
    speech = Speech(given, precision == "bf16")
    return lambda: [speech.step(feats, labels) for _ in range(int(count))]
