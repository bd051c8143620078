"""The networks and losses of benches/speech_training.rs in PyTorch: the speech method in configurations of the recipes.

The networks are those of PyTorch's own modules, with the faster of its two Adam optimisers (fused), one gradient clip per
network, and a moving average of the weights; eager, or what is differentiated compiled by torch.compile. bf16 is
torch.autocast.
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
HUBERT = {
    "bins": 80, "frames": 400, "utterances": 10, "classes": 100, "channels": 144, "layers": 4, "heads": 4, "kernel": 9,
    "start": 0.05, "span": 10,
}
ECAPA = {"bins": 80, "frames": 160, "speakers": 32, "utterances": 3, "channels": 128, "embedding_dim": 128}


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


def attentive_statistics(x, scores):
    """Okabe et al. 2018."""
    weights = scores(x).softmax(2)
    mean = (weights * x).sum(2, keepdim=True)
    variance = (weights * (x - mean).square()).sum(2)
    return torch.cat([mean.squeeze(2), (variance + 1e-5).sqrt()], 1)


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
        embeds = self.embedding(self.norm(attentive_statistics(self.layers(x), self.scores)))
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


class FeedForward(nn.Sequential):
    def __init__(self, channels):
        norm, hidden, output = nn.LayerNorm(channels), nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)
        super().__init__(norm, hidden, nn.SiLU(), output)


class ConformerBlock(nn.Module):
    """Gulati et al. 2020, with layer normalisation after the depth-wise convolution and without positions."""

    def __init__(self, channels, heads, kernel):
        super().__init__()
        self.heads = heads
        self.first, self.second = FeedForward(channels), FeedForward(channels)
        self.attention_norm, self.norm = nn.LayerNorm(channels), nn.LayerNorm(channels)
        self.query_key_value, self.attended = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)
        self.before = nn.Sequential(nn.LayerNorm(channels), nn.Linear(channels, 2 * channels), nn.GLU(-1))
        self.depthwise = nn.Conv1d(channels, channels, kernel, 1, kernel // 2, groups=channels)
        self.after = nn.Sequential(nn.LayerNorm(channels), nn.SiLU(), nn.Linear(channels, channels))

    def attend(self, x):
        parts = self.query_key_value(self.attention_norm(x)).unflatten(2, (3, self.heads, -1))
        found = F.scaled_dot_product_attention(*(part.transpose(1, 2) for part in parts.unbind(2)))
        return self.attended(found.transpose(1, 2).flatten(2))

    def forward(self, x):
        x = x + 0.5 * self.first(x)
        x = x + self.attend(x)
        x = x + self.after(self.depthwise(self.before(x).transpose(1, 2)).transpose(1, 2))
        return self.norm(x + 0.5 * self.second(x))


class Conformer(nn.Module):
    def __init__(self, bins, channels, layers, heads, kernel, classes):
        super().__init__()
        first, second = (nn.Conv1d(n, channels, kernel, s, kernel // 2) for n, s in ((bins, 1), (channels, 2)))
        self.convs = nn.Sequential(first, nn.ReLU(inplace=True), second, nn.ReLU(inplace=True))
        self.blocks = nn.Sequential(*(ConformerBlock(channels, heads, kernel) for _ in range(layers)))
        self.code = nn.Linear(channels, channels)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        return self.head(self.code(self.blocks(self.convs(x).transpose(1, 2))))


class Tdnn(nn.Sequential):
    def __init__(self, inputs, outputs, kernel, dilation=1):
        conv = nn.Conv1d(inputs, outputs, kernel, 1, dilation * (kernel - 1) // 2, dilation)
        super().__init__(conv, nn.ReLU(inplace=True), nn.BatchNorm1d(outputs))


class Res2Block(nn.Module):
    def __init__(self, channels, dilation):
        super().__init__()
        width = channels // 8
        self.input, self.output = Tdnn(channels, channels, 1), Tdnn(channels, channels, 1)
        self.parts = nn.ModuleList(Tdnn(width, width, 3, dilation) for _ in range(7))
        self.squeeze, self.excite = nn.Linear(channels, channels // 4), nn.Linear(channels // 4, channels)

    def forward(self, x):
        every = []
        for index, own in enumerate(self.input(x).chunk(8, 1)):
            every.append(own if index == 0 else self.parts[index - 1](own if index == 1 else own + every[-1]))
        y = self.output(torch.cat(every, 1))
        return y * self.excite(F.relu(self.squeeze(y.mean(2)))).sigmoid().unsqueeze(2) + x


class Ecapa(nn.Module):
    """Desplanques et al. 2020, with attention that reads frames alone."""

    def __init__(self, bins, channels, embedding_dim):
        super().__init__()
        wide = 3 * channels
        self.first = Tdnn(bins, channels, 5)
        self.blocks = nn.ModuleList(Res2Block(channels, dilation) for dilation in (2, 3, 4))
        self.last = nn.Conv1d(wide, wide, 1)
        self.scores = nn.Sequential(nn.Conv1d(wide, channels // 2, 1), nn.Tanh(), nn.Conv1d(channels // 2, wide, 1))
        self.norm = nn.BatchNorm1d(2 * wide)
        self.embedding = nn.Linear(2 * wide, embedding_dim)

    def forward(self, x):
        x = self.first(x)
        every = []
        for block in self.blocks:
            every.append(block(x))
            x = x + every[-1]
        return F.normalize(self.embedding(self.norm(attentive_statistics(F.relu(self.last(torch.cat(every, 1))), self.scores))))


class OneNetwork:
    """A network with one loss, and its optimiser."""

    def __init__(self, network, clip, bf16):
        self.network, self.clip, self.bf16 = network, clip, bf16
        self.parameters = list(network.parameters())
        self.averages = [p.detach().clone() for p in self.parameters]
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)

    def autocast(self):
        return torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.bf16)

    def step(self, feats, labels):
        self.optimiser.zero_grad(set_to_none=True)
        self.loss(feats, labels).backward()
        nn.utils.clip_grad_norm_(self.parameters, self.clip)
        self.optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 0.02)


class Hubert(OneNetwork):
    """Masked prediction (Hsu et al. 2021)."""

    def __init__(self, given, bf16):
        sizes = {name: given[name] for name in ("bins", "channels", "layers", "heads", "kernel", "classes")}
        super().__init__(Conformer(**sizes), 1.0, bf16)
        self.start, self.span = given["start"], given["span"]

    def loss(self, feats, labels):
        begins = (torch.rand(len(feats), 1, feats.shape[2]) < self.start).float()
        masked = F.max_pool1d(F.pad(begins, (self.span - 1, 0)), self.span, 1) > 0.5
        with self.autocast():
            logits = self.network(feats.masked_fill(masked, 0)).float().transpose(1, 2)
        masked = masked.squeeze(1)
        parts = (labels.masked_fill(hidden, -1)[:, ::2] for hidden in (~masked, masked))
        return sum(F.cross_entropy(logits, part, ignore_index=-1) for part in parts)


class SpeakerVerification(OneNetwork):
    def __init__(self, given, bf16):
        super().__init__(Ecapa(given["bins"], given["channels"], given["embedding_dim"]), 5.0, bf16)
        self.speakers = torch.arange(given["speakers"] * given["utterances"]) // given["utterances"]

    def loss(self, feats, _):
        with self.autocast():
            embeds = self.network(feats)
        return contrastive(embeds.float(), self.speakers)


class Disentanglement:
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


CONFIGURATIONS = {
    "mini": (Disentanglement, MINI),
    "phones": (Disentanglement, PHONES),
    "hubert": (Hubert, HUBERT),
    "ecapa": (SpeakerVerification, ECAPA),
}


def speech_steps(configuration, precision, count, how):
    method, given = CONFIGURATIONS[configuration]
    batch = given.get("speakers", 1) * given["utterances"]
    feats = torch.randn(batch, given["bins"], given["frames"])
    labels = torch.randint(given.get("classes", 1), (batch, given["frames"]))
    speech = method(given, precision == "bf16")
    if how == "compiled":
        for loss in ("loss", "joint_loss", "critic_loss"):
            if hasattr(speech, loss):
                setattr(speech, loss, torch.compile(getattr(speech, loss)))
    return lambda: [speech.step(feats, labels) for _ in range(int(count))]
