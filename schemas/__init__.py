"""The formats both sides share: errors, canonical JSON, agreement schema, package container, Arrow schemas."""
