"""The formats that both sides share: error tree, canonical JSON, agreement schema, package container, Arrow schemas."""
