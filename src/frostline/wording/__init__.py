"""Every sentence for people, one file a subject: facts come from other rooms, words from here.

Nothing reads a sentence back, so rewording one changes nothing else.
"""
