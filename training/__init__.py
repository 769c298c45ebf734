"""What training is made of: its settings, optimizers, schedules, checkpoints, fine-tuning."""
