"""What people look at: pictures, charts, the report, and what each stage cost."""
