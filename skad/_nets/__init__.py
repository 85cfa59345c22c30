"""What needs torch: nets, losses and how they are trained; nothing here validates."""
