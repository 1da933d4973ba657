"""Ten prompts with principles to weave in, and five answers to suggest feedback about."""

from langchain_model_alignment.templates import PromptMessage, Template

UPDATES: tuple[tuple[Template, tuple[str, ...]], ...] = (
    (Template.of("Give three uses for the following item: {item}"), ("Include at least one creative use.",)),
    (
        Template.of(
            "You are a support agent for Acme.\n\nCustomer: {customer}\nQuestion: {question}\n\n"
            'Reply in JSON: {"reply": "...", "escalate": false}'
        ),
        ("Never promise refunds.", "Address the customer by first name.", "Stay under 80 words."),
    ),
    (
        Template.of("Write a recipe with {ingredient} for {n} people."),
        ("Do not use any alcohol.", "List the ingredients first.", "Give amounts in grams."),
    ),
    (
        Template.of("Translate the text into French: {text}"),
        ("Keep product names such as Acme Cloud untranslated.", "Use the formal vous."),
    ),
    (
        Template.of("Summarize {article}."),
        (
            "Stay under 50 words.",
            "Mention the author and the date.",
            "Do not give opinions.",
            "End with one question.",
            "Write for a 12-year-old.",
            "Use active voice.",
            "Name every source.",
            "Never use the word synergy.",
        ),
    ),
    (Template.of('Return `{"id": {0}}` for the order {order_id}. If there is none, return {}.'), ("Be brief.",)),
    (
        Template(
            messages=(
                PromptMessage(role="system", text="You are a travel guide for {city}."),
                PromptMessage(role="human", text="{question}"),
            )
        ),
        ("Recommend at most 3 places.", "Only recommend what is free of charge."),
    ),
    (
        Template.of("Classify the mail as one of spam, invoice, other.\n\nMail:\n{mail}\n\nAnswer with one word."),
        ('When unsure, say "other".', "Treat mails from billing@acme.io as invoice."),
    ),
    (
        Template.of("Run `pip install {package}` only after asking. Explain why {package} is needed in 2 sentences."),
        ("Never run commands as root.", "Warn if the package is older than 3 years."),
    ),
    (Template.of("Schreibe eine Absage an {name}."), ("Bleibe höflich.", "Nenne keine Gründe.")),
)

SUGGESTED_ABOUT: tuple[tuple[str, dict[str, str], str], ...] = (
    (
        "Give three uses for the following item: {item}",
        {"item": "scissors"},
        "1. Cutting paper or fabric\n2. Cutting hair or nails\n3. Cutting metal or wood",
    ),
    (
        "Answer the customer: {question}",
        {"question": "Where is my parcel?"},
        "Dear customer, your parcel is on its way. Please be patient.",
    ),
    (
        "Write a haiku about {topic}",
        {"topic": "rain"},
        "Rain is falling down\nI am walking through the town\nThe sky is so brown",
    ),
    (
        "Summarize: {text}",
        {"text": "The council voted 7 to 2 on Monday to close the old bridge until May. Detours are signposted."},
        "The council closed the bridge.",
    ),
    (
        "Explain {thing} to a child.",
        {"thing": "gravity"},
        "Gravity is the curvature of spacetime caused by mass, as described by Einstein in 1915.",
    ),
)
