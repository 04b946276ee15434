"""A training in PyTorch as a user writes it: shuffled and disturbed data, dropout, batch normalisation, AdamW, a learning rate that
moves each step; alone, or under torchrun."""

import hashlib
import os
import random
import sys
import time

import torch
from mlgate_checkpoint import Checkpoint
from torch import distributed, nn
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

pause_s, workers = float(sys.argv[1]), int(sys.argv[2])
every_s = float(sys.argv[3]) if len(sys.argv) > 3 else None
world = int(os.environ.get("WORLD_SIZE", "1"))
torch.set_num_threads(1)
if world > 1:
    distributed.init_process_group("gloo")
rank = distributed.get_rank() if world > 1 else 0
own = torch.Generator().manual_seed(5)
inputs = torch.randn(192, 10, generator=own)
labels = (inputs.sum(1) > 0).long()


class Disturbed(TensorDataset):
    def __getitem__(self, index):
        values, label = super().__getitem__(index)
        return values + torch.randn(10) * 0.1 * random.random(), label


data = Disturbed(inputs, labels)
sampler = DistributedSampler(data, seed=3) if world > 1 else None
shuffled = {"sampler": sampler} if sampler else {"shuffle": True, "generator": torch.Generator().manual_seed(9)}
loader = DataLoader(data, 16, num_workers=workers, **shuffled)
torch.manual_seed(11)
model = nn.Sequential(nn.Linear(10, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 2))
if world > 1:
    model = nn.parallel.DistributedDataParallel(model)
torch.manual_seed(100 + rank)
random.seed(200 + rank)
optimizer = torch.optim.AdamW(model.parameters(), 1e-2)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.02, total_steps=5 * len(loader))

checkpoint = Checkpoint(model=model, optimizer=optimizer, scheduler=scheduler)
if rank == 0:
    print("ready")
for _ in checkpoint.epochs(5, every_s=every_s):
    for values, wanted in checkpoint.batches(loader):
        loss = nn.functional.cross_entropy(model(values), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        checkpoint.report(loss=loss)
        time.sleep(pause_s)

if rank == 0:
    state = [*model.state_dict().values(), *(value for one in optimizer.state_dict()["state"].values() for value in one.values())]
    torch.save(model.state_dict(), "weights.pt")
    print("weights", hashlib.sha256(b"".join(value.numpy().tobytes() for value in state)).hexdigest())
if world > 1:
    distributed.destroy_process_group()
