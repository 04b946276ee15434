import torch
from mlgate_checkpoint import Checkpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
inputs = torch.randn(512, 10)
loader = DataLoader(TensorDataset(inputs, inputs.sum(1, keepdim=True)), batch_size=32, shuffle=True)
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)

checkpoint = Checkpoint(model=model, optimizer=optimizer)  # and scheduler, scaler, …
for epoch in checkpoint.epochs(10):
    for batch, wanted in checkpoint.batches(loader):
        loss = nn.functional.mse_loss(model(batch), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        checkpoint.report(loss=loss)
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}")

torch.save(model.state_dict(), "model.pt")
