"""trains"""
