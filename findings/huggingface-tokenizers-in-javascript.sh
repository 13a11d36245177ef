#!/usr/bin/env bash
# @huggingface/tokenizers 0.2.0 and @huggingface/transformers 4.3.2 (npm) beside tokenizers 0.23.3 (PyPI): is one tokenizer.json one tokenizer?
#
# Guess:   yes: the file says all of it, all three are Hugging Face's own, and what a file needs and one of them lacks is an error, as UnicodeScripts is.
# Seen:    for byte-level ones, those of GPT-2 and Llama, and for BERT's, yes. Whitespace, which the quick tour of tokenizers begins with, splits at
#          what is no letter in ASCII in JavaScript: "Straße" is "Stra", "ß", "e" there, and a word in Python, where Cyrillic and Japanese are
#          equal again. Punctuation takes each mark alone in Python, and "..." as one in JavaScript, which knows no vocabulary that has them
#          alone. And an added token with single_word=True, "Foo", is found inside of "Foobar" in JavaScript. Nothing is said.
# Follows: a browser or Node that tokenizes for a model is compared with the tokenizer of its training, on words with umlauts and on "..."; or the server
#          tokenizes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" --quiet install tokenizers==0.23.3
cd "$work"
npm install --silent --no-audit --no-fund --ignore-scripts @huggingface/tokenizers@0.2.0 @huggingface/transformers@4.3.2
"$work/venv/bin/python" - <<'PY'
import json
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers

words = ["[UNK]", *"Straße naïve café Stra na caf ße ß e ï ve é Привет мир ... . ! ? !? a b foo bar Foo Foobar x".split()]
cases = []
for name, pre_tokenizer, texts in (
    ("whitespace", pre_tokenizers.Whitespace(), ["foo bar", "Straße", "naïve café", "Привет мир", "a...b"]),
    ("punctuation", pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]), ["foo bar!", "foo...", "foo!?"]),
    ("single_word", pre_tokenizers.WhitespaceSplit(), ["Foo bar", "Foobar", "bar Foobar Foo"]),
    ("bert", pre_tokenizers.BertPreTokenizer(), ["Straße", "naïve café...", "Привет мир!?"]),
):
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="[UNK]"))
    if name == "bert":
        tokenizer = Tokenizer(models.WordPiece({word: index for index, word in enumerate(words)}, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.pre_tokenizer = pre_tokenizer
    if name == "single_word":
        tokenizer.add_tokens([AddedToken("Foo", single_word=True)])
    if name != "bert":
        # JavaScript has no WordLevel: WordPiece without continuations, which finds whole words alone.
        parts = json.loads(tokenizer.to_str())
        parts["model"] = {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100, "vocab": parts["model"]["vocab"]}
        tokenizer = Tokenizer.from_str(json.dumps(parts))
    tokenizer.save(f"{name}.json")
    cases += [{"name": name, "text": text, "python": tokenizer.encode(text).tokens} for text in texts]
json.dump({"words": words, "cases": cases}, open("cases", "w"))
PY
cat >compare.mjs <<'JS'
import fs from "fs";
import { Tokenizer } from "@huggingface/tokenizers";
import { PreTrainedTokenizer } from "@huggingface/transformers";

const read = (name) => JSON.parse(fs.readFileSync(name, "utf8"));
const { words, cases } = read("cases");
const other = { "Straße": "[UNK] ß e", "naïve café": "[UNK]", "foo...": "foo ...", "foo!?": "foo !?", "Foobar": "Foo bar", "bar Foobar Foo": "bar Foo bar Foo" };
let failed = false;
for (const { name, text, python } of cases) {
  const file = read(`${name}.json`);
  const named = (ids) => Array.from(ids).map((id) => words[Number(id)]).join(" ");
  const js = named(new Tokenizer(file, {}).encode(text, { add_special_tokens: false }).ids);
  const transformers = named(new PreTrainedTokenizer(file, {}).encode(text, { add_special_tokens: false }));
  console.log(`${name}, ${text}: Python ${python.join(" ")}; JavaScript ${js}; transformers.js ${transformers}`);
  failed ||= js !== transformers;
  failed ||= (js === python.join(" ")) !== (name === "bert" || !(text in other));
}
process.exit(failed ? 1 : 0);
JS
node compare.mjs
