"""Operations on tensors: sizes, colours, noise, flow and regions. No files, no methods."""
