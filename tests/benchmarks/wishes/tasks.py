"""Thirty tasks, written for this benchmark: a prompt, inputs, and a wish in plain words that code can check.

They were written before any of them was tried, and no method was changed for them. Neighbours are of different kinds,
so that the first few are a sample. The three wishes that are said later are of other kinds and contradict neither the
first one nor each other.
"""

from dataclasses import dataclass

from tests.benchmarks.wishes import checks
from tests.benchmarks.wishes.checks import Check, Inputs


@dataclass(frozen=True)
class Task:
    """One prompt and what a person wishes of it.

    Attributes:
        name: How the wish is called.
        kind: What is to be checked: `length`, `word`, `format`, `language` or `count`.
        prompt: A text with variables in braces.
        first: What the answer that feedback is about was an answer to.
        new: What is answered afterwards.
        said: The feedback.
        check: Whether an answer does what was said.
        further: Names of three other tasks, whose feedback is said later.
    """

    name: str
    kind: str
    prompt: str
    first: Inputs
    new: tuple[Inputs, ...]
    said: str
    check: Check
    further: tuple[str, str, str]


def _inputs(variable: str, *values: str) -> tuple[Inputs, tuple[Inputs, ...]]:
    first, *new = ({variable: value} for value in values)
    return first, tuple(new)


def _pairs(one: str, other: str, *values: tuple[str, str]) -> tuple[Inputs, tuple[Inputs, ...]]:
    first, *new = ({one: a, other: b} for a, b in values)
    return first, tuple(new)


TASKS = (
    Task(
        "twenty words", "length",
        "Answer this customer of a garden shop: {message}",
        *_inputs(
            "message",
            "When is my bench delivered?",
            "Do you also sell umbrellas?",
            "My chair arrived with a broken leg.",
            "Can I pay by invoice?",
        ),
        "Far too long, 20 words are plenty.",
        checks.words_at_most(20),
        ("no exclamation marks", "question", "German"),
    ),
    Task(
        "phone number", "word",
        "Tell a customer of a bicycle shop that {news}.",
        *_inputs(
            "news",
            "the repair is done",
            "the shop is closed on Monday",
            "the new tyres have arrived",
            "the bill is still open",
        ),
        "Our phone number is missing, it's 0800 4455.",
        checks.has(r"0800[\s-]?4455"),
        ("twenty words", "capitals", "German"),
    ),
    Task(
        "dashes", "format",
        "What should I pack for {trip}?",
        *_inputs(
            "trip", "a week at the sea", "a weekend in the mountains", "a business trip to Oslo", "a night in a tent"
        ),
        "Put every item on a line of its own that begins with a dash.",
        checks.dashed,
        ("three items", "no digits", "Spanish"),
    ),
    Task(
        "French", "language",
        "Describe {thing} for a furniture catalogue.",
        *_inputs("thing", "a round oak table", "a leather armchair", "a bookshelf of pine", "a bed with drawers"),
        "Our customers read French, so write it in French.",
        checks.in_language("French"),
        ("two sentences", "no exclamation marks", "capitals"),
    ),
    Task(
        "three items", "count",
        "Give ideas for {occasion}.",
        *_inputs("occasion", "a birthday party", "a rainy Sunday", "a farewell gift", "a school project"),
        "That is a lot to read. Three ideas are enough.",
        checks.items(3),
        ("no exclamation marks", "capitals", "French"),
    ),
    Task(
        "one sentence", "length",
        "Explain {thing} to a beginner.",
        *_inputs("thing", "inflation", "photosynthesis", "a mortgage", "an algorithm"),
        "Can you say it in a single sentence?",
        checks.sentences(1),
        ("no digits", "capitals", "Spanish"),
    ),
    Task(
        "no exclamation marks", "word",
        "Congratulate {person} on {event}.",
        *_pairs(
            "person", "event",
            ("Ann", "her new job"),
            ("Tom and Eva", "their wedding"),
            ("our team", "the first place"),
            ("Mr. Okoye", "his eightieth birthday"),
        ),
        "No exclamation marks, please, they look cheap.",
        checks.lacks("!"),
        ("twenty words", "Spanish", "capitals"),
    ),
    Task(
        "question", "format",
        "Recommend a film to someone who likes {genre}.",
        *_inputs("genre", "westerns", "science fiction", "comedies about families", "films about music"),
        "End with a question, so that they write back.",
        checks.ends("?"),
        ("twenty words", "no exclamation marks", "Spanish"),
    ),
    Task(
        "German", "language",
        "Explain how to {task}.",
        *_inputs("task", "change a light bulb", "boil an egg", "reset a password", "clean a window"),
        "I only understand German.",
        checks.in_language("German"),
        ("twenty words", "no exclamation marks", "no list"),
    ),
    Task(
        "euros", "count",
        "How much does {thing} cost?",
        *_inputs("thing", "a good bicycle", "a cup of coffee in a café", "a used small car", "a flight over the ocean"),
        "Give it in euros, I don't pay in dollars.",
        checks.both(checks.has(r"€|euro|\beur\b"), checks.lacks(r"\$|dollar|\busd\b")),
        ("one sentence", "no exclamation marks", "capitals"),
    ),
    Task(
        "two sentences", "length",
        "Describe {city} for a travel guide.",
        *_inputs("city", "Vienna", "Lisbon", "Kyoto", "Prague"),
        "It must have exactly two sentences, there is no room for more.",
        checks.sentences(2),
        ("no exclamation marks", "French", "question"),
    ),
    Task(
        "signed", "word",
        "Write a note that thanks {name} for {gift}.",
        *_pairs(
            "name", "gift",
            ("Paul", "the flowers"),
            ("Aunt Rosa", "the cake"),
            ("Mrs. Lee", "her help with the move"),
            ("the neighbours", "the tools they lent us"),
        ),
        "It has to be signed with Mia.",
        checks.ends("Mia"),
        ("twenty words", "capitals", "French"),
    ),
    Task(
        "capitals", "format",
        "Write the text for a label on {food}.",
        *_inputs("food", "a jar of plum jam", "a bottle of olive oil", "a bag of roasted coffee", "a box of tea"),
        "Everything in capital letters, the printer has no others.",
        checks.in_capitals,
        ("twenty words", "no exclamation marks", "Spanish"),
    ),
    Task(
        "Spanish", "language",
        "Write a weather report: {weather}",
        *_inputs(
            "weather",
            "rain in the morning, sun later",
            "storm at the coast",
            "snow above 800 metres",
            "hot and dry all week",
        ),
        "This is for our listeners in Madrid. It should be in Spanish.",
        checks.in_language("Spanish"),
        ("two sentences", "no exclamation marks", "question"),
    ),
    Task(
        "two hashtags", "count",
        "Write a post about {thing}.",
        *_inputs("thing", "our new bakery", "a lost cat", "the concert last night", "the first snow"),
        "Use exactly two hashtags, no more and no less.",
        checks.times(r"#\w", 2),
        ("twenty words", "emoji", "Spanish"),
    ),
    Task(
        "six words", "length",
        "Write a headline for this news: {news}",
        *_inputs(
            "news",
            "The city council has decided to close the old bridge for repairs until the spring of next year.",
            "A nine-year-old girl found a letter in a bottle that was thrown into the sea forty years ago.",
            "The price of butter has doubled within twelve months, and bakers say that bread will follow.",
            "After a week of strikes the bus drivers and the company have agreed on higher wages.",
        ),
        "A headline of ours has no more than six words.",
        checks.words_at_most(6),
        ("capitals", "no exclamation marks", "no digits"),
    ),
    Task(
        "good news", "word",
        "Announce to all residents of the house: {news}",
        *_inputs(
            "news",
            "the lift works again",
            "the roof is repaired",
            "the rent stays the same",
            "the garden is open from May on",
        ),
        "Start with the words “Good news”.",
        checks.begins("good news"),
        ("twenty words", "two hashtags", "capitals"),
    ),
    Task(
        "JSON", "format",
        "Which product, and at which price? {text}",
        *_inputs(
            "text",
            "The lamp costs 20 euros.",
            "For 7 euros you get a kilo of cherries.",
            "We sold the old piano, 450 euros in cash.",
            "Tickets are 12 euros each.",
        ),
        "I need a JSON object with the keys product and price, nothing else.",
        checks.json_object("product", "price"),
        ("twenty words", "no exclamation marks", "euros"),
    ),
    Task(
        "Italian", "language",
        "Write a birthday greeting for {person}.",
        *_inputs("person", "my grandmother", "a colleague who likes cycling", "my little brother", "an old teacher"),
        "She is from Rome, do it in Italian.",
        checks.in_language("Italian"),
        ("two sentences", "no exclamation marks", "question"),
    ),
    Task(
        "24-hour clock", "count",
        "Announce this event: {event}",
        *_inputs(
            "event",
            "concert in the park, Friday, 8 pm",
            "flea market at the station, Saturday, 2 pm to 6 pm",
            "reading in the library, 7 pm",
            "night walk through the old town, 10 pm",
        ),
        "We use the 24-hour clock here, not am and pm.",
        checks.both(checks.has(r"\b(1[3-9]|2[0-3])([:.h]\d\d|00\b|\s?(h|hours|Uhr)\b)"), checks.lacks(r"\d\s?p\.?m\b")),
        ("twenty words", "no exclamation marks", "capitals"),
    ),
    Task(
        "100 characters", "length",
        "Write a text message that reminds a patient of {appointment}.",
        *_inputs(
            "appointment",
            "a check-up on Monday at 9",
            "a blood test, for which she must not eat",
            "a vaccination on 3 March",
            "an X-ray of the left knee",
        ),
        "It has to fit into 100 characters.",
        checks.characters_at_most(100),
        ("no exclamation marks", "capitals", "phone number"),
    ),
    Task(
        "name first", "word",
        "Answer {name}, who asks: {question}",
        *_pairs(
            "name", "question",
            ("Carla", "Is the museum open on Sundays?"),
            ("Jonas", "May I bring my dog?"),
            ("Priya", "Where can I leave my coat?"),
            ("Mr. Chen", "Is there a lift to the third floor?"),
        ),
        "Begin with the name of the visitor, nothing before it.",
        checks.begins_with_input("name"),
        ("twenty words", "question", "German"),
    ),
    Task(
        "semicolons", "format",
        "Name the ingredients of {dish}.",
        *_inputs("dish", "a Greek salad", "pancakes", "tomato soup", "a fruit cake"),
        "Write them on one line, with semicolons between them.",
        checks.on_one_line(";"),
        ("twenty words", "no digits", "Spanish"),
    ),
    Task(
        "two questions", "count",
        "Write an e-mail that asks a colleague about {topic}.",
        *_inputs("topic", "the new printer", "the trip to Ghent", "her report on sales", "the keys of the store room"),
        "There should be exactly two questions in it.",
        checks.times(r"\?", 2),
        ("no exclamation marks", "signed", "capitals"),
    ),
    Task(
        "yes or no", "length",
        "Is this true? {claim}",
        *_inputs(
            "claim",
            "Bananas grow on trees.",
            "Whales are fish.",
            "Gold is heavier than water.",
            "The moon is larger than the earth.",
        ),
        "No explanations. Just yes or no.",
        checks.one_of("yes", "no"),
        ("capitals", "no exclamation marks", "no digits"),
    ),
    Task(
        "no flavor", "word",
        "Describe the taste of {dish}.",
        *_inputs("dish", "goulash", "a ripe mango", "miso soup", "dark chocolate"),
        "Don't use the word “flavor”, I read it everywhere.",
        checks.lacks(r"flavou?r"),
        ("two sentences", "question", "capitals"),
    ),
    Task(
        "no list", "format",
        "Give tips for {activity}.",
        *_inputs("activity", "a job interview", "sleeping better", "a first marathon", "saving electricity"),
        "No list, please, I'd rather read flowing text.",
        checks.no_list,
        ("twenty words", "no exclamation marks", "German"),
    ),
    Task(
        "no sorry", "word",
        "Reply to this complaint of a hotel guest: {complaint}",
        *_inputs(
            "complaint",
            "The street was loud all night.",
            "It rained on every day of our stay.",
            "The beach was full of people.",
            "The taxi from the airport was late.",
        ),
        "Don't apologise for what isn't our fault: no “sorry”, no “apologies”.",
        checks.lacks(r"\bsorry\b|apolog"),
        ("twenty words", "question", "capitals"),
    ),
    Task(
        "emoji", "word",
        "Write an invitation to {event}.",
        *_inputs("event", "a picnic in the park", "a chess evening", "the opening of our gallery", "a run at sunrise"),
        "It's for young people, it needs an emoji.",
        checks.has_emoji,
        ("twenty words", "Spanish", "two hashtags"),
    ),
    Task(
        "no digits", "word",
        "Describe {planet} for a school book.",
        *_inputs("planet", "Mars", "Jupiter", "Venus", "Neptune"),
        "Leave the figures out, there should be no digits in it.",
        checks.lacks(r"\d"),
        ("two sentences", "question", "capitals"),
    ),
)  # fmt: skip
BY_NAME = {task.name: task for task in TASKS}
