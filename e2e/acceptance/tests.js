// The nine acceptance tests: each a failure of a system elsewhere, told as what must not happen here, with its parts.
//
// `done` is what the test does and `holds` what it asserts. `open` marks a part that the product cannot do yet, and why: it is played all the
// same, fails, and is counted as not done; a run in which it suddenly holds fails, so that the mark goes.

/** @typedef {{done: string, holds: string, open?: string}} Part */
/** @typedef {{id: string, title: string, elsewhere: string, parts: Record<string, Part>}} Test */

/** @type {Test[]} */
export const TESTS = [
  {
    id: "silent-writer",
    title: "A source whose log writer stands still is public within a minute, and residents read since when their list is incomplete",
    elsewhere: "Denmark, 2015 to 2017: entries of some residents were invisible for up to 21 months, and nobody noticed.",
    parts: {
      gap: {
        done: "A system of the library numbers two uses more than it sends",
        holds: "Within 60 s the register has an incident with how many are missing, the incident is in the public log, and the resident's page says since when it may be incomplete. Once the two come, both say that it is over.",
      },
      silence: {
        done: "A system of the school office is heard once and never again",
        holds: "Within 60 s the register has an incident of a source that is silent, and the page of a resident who uses it says since when.",
      },
    },
  },
  {
    id: "vendor-pull",
    title: "A vendor's automatic pull is one decision, and everybody concerned sees it",
    elsewhere: "England: a vendor's portal admitted that automatic pulls over its interface were not logged. Estonia: queries about more than about 100 people need not be logged for each.",
    parts: {
      everybody: {
        done: "A vendor's program fetches the entries of everybody in the draw with one request",
        holds: "Each of them has one line of it, with the same number of one batch and how many people it was about, and the public log is long enough to hold every line.",
      },
      proven: {
        done: "Three of them check their footprints against the public log",
        holds: "The line is proven for each.",
      },
    },
  },
  {
    id: "changed-log",
    title: "The browser sees by itself that an insider has changed the log",
    elsewhere: "Estonia: the tracker's log is a plain database of the owner. Everywhere else no tamper evidence is shown at all.",
    parts: {
      lines: {
        done: "Somebody with the operator's database changes what one of her lines says",
        holds: "That line turns red in her browser, the others stay green, and the page says that they do not match.",
      },
      log: {
        done: "The insider serves a log in which a bit of every part is another, to a browser that has seen nothing before",
        holds: "No line stays green.",
      },
      served: {
        done: "The server that lies is asked which program checks it",
        holds: "The hashes of the verifier are in the log itself, and what is served is that verifier.",
      },
    },
  },
  {
    id: "objection",
    title: "From a line to an objection in two clicks, with a receipt, a day, and the overseer",
    elsewhere: "Norway: print a form and send it to the hospital. Belgium, Spain and NHS England: no button at all.",
    parts: {
      "two-clicks": {
        done: "A resident clicks on a line that she does not understand, and on the button that sends it",
        holds: "She has a receipt with a number and the day on which the answer is due, which is the day that the law says.",
      },
      overseer: {
        done: "An official of the overseer signs in to the case desk after it",
        holds: "The desk has the number of the receipt, the mandate, the office and the day, and none of her words; nobody else sees it.",
      },
    },
  },
  {
    id: "reasons",
    title: "Every line has a sentence that says why, and a link to the law",
    elsewhere: "Belgium: who and which category, not why. Estonia: reasons that nobody can read. Denmark and Norway: free text, or none.",
    parts: {
      "every-line": {
        done: "The footprints of three residents with a past of years are read in English and in Chinese",
        holds: "Each line about a use has the sentence of its mandate for that reason, one sentence long, with a link to the mandate and one to the law that the mandate names.",
      },
    },
  },
  {
    id: "will",
    title: "An heir does not learn of a will",
    elsewhere: "Estonia: rows of notaries revealed that a relative had made a will.",
    parts: {
      testator: {
        done: "A notary notes a will of a resident, whose heir looks at once and searches the whole public log",
        holds: "The testator has the line. The heir has no line more, and no entry of the log is hers that she does not see.",
      },
      heir: {
        done: "The notary asks about the heir herself in the matter of the will, and says that it concerns somebody else",
        holds: "Her line says who asked for which data and that it was a use, and not the matter, which is shown sixty days later; neither do the lines that she saves, nor those that her own key opens. Under a mandate that does not allow it the request is refused, and the refusal does not say the matter either.",
      },
    },
  },
  {
    id: "delayed",
    title: "What may be shown late is shown on its day, though everybody has forgotten it",
    elsewhere: "Estonia: the consumer of the data marks a query as hidden. Denmark: what was hidden stayed so until somebody looked.",
    parts: {
      hidden: {
        done: "A body tries to hide a use, and two people to publish a mandate whose lines are hidden",
        holds: "Both refused: neither a request nor a statement has a place for it. The lines of every tally that are shown late are counted in public, and there are none.",
      },
      "on-its-day": {
        done: "Bailiffs look for somebody under a covert mandate: two months ago, three days ago, and now. Their office activates another one alone",
        holds: "What happened two months ago is in her footprint and proven against the public log; nobody wrote anything on its day. What is later stands on none of her pages, and is counted in public. The office alone is refused; with two people of the overseer it is taken.",
      },
    },
  },
  {
    id: "paper-card",
    title: "Somebody with a paper card gets the same list at the counter and by post",
    elsewhere: "Most portals show the list to those with a smartphone or an electronic identity; the Dutch one refers to a full list at the town hall.",
    parts: {
      counter: {
        done: "A resident signs in at the counter with a printed card and a PIN, in a browser that is not hers, and with a passkey elsewhere",
        holds: "Both show the same lines, checked against the public log in both; printed at the counter, the page has every line of them.",
      },
      post: {
        done: "Signed in with the card, she asks that the list be sent to her by post",
        holds: "A sealed list by her file number lies in the folder for the print house, which opens it; every line is on it, and it goes once.",
      },
    },
  },
  {
    id: "awareness",
    title: "Whoever never looks is told, also that nothing happened",
    elsewhere: "Denmark: 14 % know that the log exists.",
    parts: {
      digest: {
        done: "A resident who has said nothing opens the first page after the end of a week",
        holds: "The message of that week is there and says what her lines say, also that nothing happened; saying no to it stands in her footprint.",
      },
    },
  },
];
