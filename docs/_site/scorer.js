// How the search orders what it found: titles that have all words, then names that are just what
// was asked for, classes and functions before attributes; long pages of the reference come last.

var Scorer = {
  score: ([page, title, , descr, score, , kind]) => {
    const words = new URLSearchParams(location.search).get("q").toLowerCase().split(/\s+/);
    if (kind === "object") return /class|function|exception/.test(descr) ? score : score - 5;
    const inTitle = words.filter((word) => title.toLowerCase().includes(word)).length;
    return score + 5 * (inTitle - 1) - (kind === "text" && page.startsWith("reference/") ? 3 : 0);
  },
  objNameMatch: 12,
  objPartialMatch: 1,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
