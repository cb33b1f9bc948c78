// The ten stories of abuse that the drills play, each with its source, what is tried here, and how that ends.
//
// `outcome` is held by the test: `impossible` means that it asserted the refusal, `visible` that both the resident and the public saw it
// within a minute. `fails` says what would make the test fail. `hole` marks what the product does not do, and why.

/**
 * @typedef {object} Attempt
 * @property {string} attempt what is tried, with which credentials
 * @property {"impossible" | "visible"} outcome
 * @property {string} ends what happens
 * @property {string} fails what would make the test fail
 * @property {string} [hole] why the outcome is not reached
 */
/** @typedef {{id: string, title: string, happened: string, sources: [string, string][], attempts: Record<string, Attempt>, limit?: string}} Story */

/** @type {Story[]} */
export const STORIES = [
  {
    id: "five-officials",
    title: "Five officials turn the status of 1,317 people",
    happened: "Zhengzhou, June 2022: officials of the epidemic headquarters had the health codes of 1,317 depositors of rural banks turned red to keep them from travelling to their bank. It was found out from outside, afterwards.",
    sources: [
      ["Shanghai Daily, 22 June 2022", "https://www.shine.cn/news/nation/2206227094/"],
      ["The Straits Times (Reuters), 23 June 2022", "https://www.straitstimes.com/asia/east-asia/chinese-officials-punished-for-changing-health-codes-of-bank-depositors-state-media"],
    ],
    attempts: {
      "one-request": {
        attempt: "One request of a desk names all 1,317 depositors, to release their status and to write it",
        outcome: "impossible",
        ends: "The release is refused by `bulk-limit`, since the mandate says one person at a time. Nothing writes about more than one person: a list is malformed, and there is no such address for many.",
        fails: "a limit above the mandate's is let through, or something is written about a list",
      },
      "one-by-one": {
        attempt: "Five officials at five desks decide about all 1,317 one by one, in their own names",
        outcome: "visible",
        ends: "The burst brake lets each official make eleven decisions, as anybody on a first day, and refuses all others with `brake`: 55 of 1,317 are turned. Each depositor whose status was written has it in her footprint, each whose was not has the refusal; the register shows five brakes that only the overseer releases.",
        fails: "any official gets past the brake, a line is missing or not proven in the public log, or a brake is not shown",
      },
      "raised-limit": {
        attempt: "Two of them sign a revision of the mandate that allows 1,317 at once, and use it at once",
        outcome: "impossible",
        ends: "The revision is public, and in force at once. Nobody of the 1,317 has agreed to it, so every line is refused with `grant` and `notice`.",
        fails: "an agreement to the mandate as it was carries over to the revision",
      },
      "erased-counts": {
        attempt: "An insider deletes the counts of the brake from the database of the running server",
        outcome: "impossible",
        ends: "The server goes on from what it has counted: all five stay refused with `brake`, and the register shows five brakes again with the next refusal.",
        fails: "a decision passes after the rows are gone, or the register goes on showing no brake",
      },
      restarted: {
        attempt: "The insider deletes them and restarts the server",
        outcome: "impossible",
        ends: "A stop is a statement of the log, which the server reads when it starts: the official stays refused with `brake`, and the register shows the brake before she asks again.",
        fails: "a decision passes that only the overseer may release, or the register shows no brake after the start",
      },
      nameless: {
        attempt: "A desk writes about depositors and does not say that an official decides",
        outcome: "visible",
        ends: "What is written without an official counts as one that is called nobody: three are let through. Each depositor has it in her footprint, proven in the public log.",
        fails: "a change is missing from her footprint or the public log",
      },
      "nameless-in-public": {
        attempt: "Five desks write like this about fifty more, and somebody who is not concerned looks at the register",
        outcome: "visible",
        ends: "Nobody can write more often than somebody: the eleventh of the day was the last, all others are refused with `brake`, and the register shows a brake of decisions without an official.",
        fails: "more than eleven are let through in a day, a depositor misses her line, or the register says nothing of it",
      },
    },
    limit: "An official who is given other names, or works at another service of the same body, counts as another official: who acts is the agency's word. So is that people could comment on a mandate before it was in force, since its statement names the days and is dated afterwards.",
  },
  {
    id: "police",
    title: "Police ask for check-in data under a health mandate",
    happened: "Mainz, November 2021: police and the health office simulated an infection to get the data of 21 guests of a restaurant out of the Luca app. Western Australia and Singapore opened check-in data to their police, after promises to the contrary.",
    sources: [
      ["Homeland Security News Wire, 13 January 2022", "https://www.homelandsecuritynewswire.com/dr20220113-german-police-unlawfully-accessed-data-on-contacttracing-app"],
      ["The Register, 6 February 2024", "https://www.theregister.com/2024/02/06/singapore_deletes_c19_data/"],
    ],
    attempts: {
      service: {
        attempt: "Two people of the police register a service under the mandate of venue check-in",
        outcome: "impossible",
        ends: "Refused with `not-a-recipient`: the mandate names the health department and nobody else.",
        fails: "a body that the mandate does not name gets a service under it",
      },
      emergency: {
        attempt: "The police publish an emergency mandate of their own, and the health department one that names the police as a recipient",
        outcome: "impossible",
        ends: "Both refused with `security-body`, since the police are registered as a security body.",
        fails: "a security or intelligence body holds an emergency mandate or receives under it",
      },
      relabelled: {
        attempt: "Two of the operator and two of the police make an ordinary agency of the police, so that the rule does not hold for them",
        outcome: "impossible",
        ends: "Refused with `changed`: a body keeps its kind for life.",
        fails: "the kind of a body can be changed",
      },
      "faked-infection": {
        attempt: "The health department asks for guests as if somebody had been infected, and for their telephone numbers",
        outcome: "visible",
        ends: "The numbers are refused with `form`; what leaves are tokens that nobody outside can turn into a number. Each guest reads in her footprint that a case of disease was claimed, and the entry is in the public log.",
        fails: "a number leaves, a token holds it, or a guest is not told the reason that was given",
      },
    },
    limit: "Whether there was an infection people have to judge. The city says which of its bodies are security bodies when it registers them; one that registers its police as an ordinary agency does so in public.",
  },
  {
    id: "re-outsourcing",
    title: "A vendor outsources again",
    happened: "Sweden, 2015: the Transport Agency handed its registers to IBM, which used subcontractors abroad; technicians who had not been vetted could read them. Taipei's committee on personal data warned of it in February 2022: vendors often outsource again, and the risk rises.",
    sources: [
      ["The Local, 25 July 2017", "https://www.thelocal.se/20170725/swedish-government-battles-political-fallout-from-transport-data-leak"],
      ["Statement of the Swedish Transport Agency", "https://transportstyrelsen.se/sv/om-oss/det-har-ar-transportstyrelsen/vart-uppdrag-och-arbetssatt/upphandlingar/fragor-och-svar/statement-about-the-information-in-media-regarding-our-it-public-procurement"],
    ],
    attempts: {
      "own-word": {
        attempt: "The vendor signs a revision of its contract that lets another company in",
        outcome: "impossible",
        ends: "Refused with `not-the-owner`: the body that commissions speaks for a contract.",
        fails: "a vendor changes its contract",
      },
      "in-a-hurry": {
        attempt: "The body that commissions signs for a company abroad, under the vendor's own vendor, from today",
        outcome: "impossible",
        ends: "Refused with `too-soon`, `not-allowed` and `too-deep`: announced too late, in a country that is not allowed, one level too deep.",
        fails: "any of the three rules does not hold for a contract in force",
      },
      service: {
        attempt: "The other company opens a service of its own under the mandate of the festival",
        outcome: "impossible",
        ends: "Refused with `not-a-recipient`.",
        fails: "a company that no contract names gets a service under the mandate",
      },
      token: {
        attempt: "The vendor passes its token on, and the other company asks with a key of its own",
        outcome: "impossible",
        ends: "Refused as `unauthenticated`: a token is worth nothing without the key to which it is bound.",
        fails: "a token works with another key",
      },
      "all-keys": {
        attempt: "The vendor passes on its keys as well, and the other company asks for names",
        outcome: "visible",
        ends: "Values are refused with `form`, and what the mandate does not name with `blocks-in-mandate`; what it gets is a yes or no and a token. Each request stands in the resident's footprint as the vendor's, and is in the public log.",
        fails: "a value leaves to a vendor, or a request leaves no line",
      },
    },
    limit: "Who holds the keys of a vendor acts as the vendor. What it learned it can pass on; the contract's penalties are law and no mathematics.",
  },
  {
    id: "outlives-sunset",
    title: "A tool outlives its sunset",
    happened: "A year into the pandemic, of 650 surveillance measures that journalists counted 29 had ended, and of 152 tracing apps 20 had said when they would. Singapore deleted its tracing data in 2024, except what the police keep indefinitely.",
    sources: [
      ["De Correspondent, Track(ed) together: the data", "https://github.com/decorrespondent/trackedtogether"],
      ["The Register, 6 February 2024", "https://www.theregister.com/2024/02/06/singapore_deletes_c19_data/"],
    ],
    attempts: {
      prolonged: {
        attempt: "Two people of the library sign a revision of a mandate in force that ends later",
        outcome: "impossible",
        ends: "Refused with `prolonged`: what goes on is a new mandate, for which everybody is asked anew.",
        fails: "the last day of a published mandate moves back",
      },
      "asked-after": {
        attempt: "A service asks again right after the last moment of its mandate",
        outcome: "visible",
        ends: "Refused with `sunset` from the first request on, which the resident sees; within a minute the register shows the mandate as erased, with a certificate that its key is gone.",
        fails: "data leaves after the last moment, the clock does not end the mandate within a minute, or no certificate is published",
      },
      revived: {
        attempt: "Its officials bring the ended mandate back by a step and by a revision, and an insider gives the rows of the database back",
        outcome: "impossible",
        ends: "The step is refused with `no-such-step`, the revision with `over`. With the rows as they were, and her consent prolonged in them, the answer stays `mandate` and `sunset`; the certificate says that the key which opened them is gone.",
        fails: "an ended mandate acts again, or an old copy of the rows is read",
      },
    },
  },
  {
    id: "second-purpose",
    title: "An agency uses a block for a second purpose",
    happened: "Taipei, 2021: a dashboard of the city showed proportions of women and men among people who had checked in against the epidemic. The city explained that the purposes were different ones and both its own.",
    sources: [["Taipei City, Department of Information Technology", "https://doit.gov.taipei/News_Content.aspx?n=4B2B1AB4B23E7EA8&sms=72544237BBE4C5F6&s=2C9B1993A4D6827F"]],
    attempts: {
      reason: {
        attempt: "The library asks for a reader's data to count ages for a dashboard",
        outcome: "impossible",
        ends: "Refused with `reason` and `blocks-in-mandate`: the mandate has no such reason and no date of birth. The refusal is a line of her footprint.",
        fails: "a reason or a block that the mandate does not name is accepted",
      },
      "other-mandate": {
        attempt: "The library asks under the mandate of another body",
        outcome: "impossible",
        ends: "Refused with `service`, `recipient`, `operation` and `grant`.",
        fails: "a service uses a mandate under which it is not registered",
      },
      pseudonym: {
        attempt: "The library passes its pseudonyms to the shopping festival, which asks with them",
        outcome: "impossible",
        ends: "Answered with `unknown`, as for a pseudonym that was invented.",
        fails: "a pseudonym of one service means anything to another, or tells that it was one",
      },
      joined: {
        attempt: "The two ask the pass which of their pseudonyms are the same people",
        outcome: "impossible",
        ends: "Refused with `service`, `operation`, `conversion`, `agreement` and `recipient`.",
        fails: "pseudonyms are joined without a mandate and an agreement that say so",
      },
    },
    limit: "What an agency has received it can use for something else in its own house. It has received little: values only where the mandate says so, for as long as the retention allows.",
  },
  {
    id: "hidden-lines",
    title: "An insider hides lines of one resident for months",
    happened: "Denmark, summer 2015 to March 2017: the public log of health records did not show some citizens all who had looked. It came out by chance.",
    sources: [["Sundhedsdatastyrelsen, 22 March 2017", "https://sundhedsdatastyrelsen.dk/da/nyheder/2017/systemfejl-minlog_22032017"]],
    attempts: {
      months: {
        attempt: "Somebody with the database takes out all lines of half a year",
        outcome: "visible",
        ends: "Her browser finds every one of them in the public log by its tag and says which entries they are. The line after the gap turns red.",
        fails: "the browser stays green, or names other entries than those that were hidden; the log changed",
      },
      renumbered: {
        attempt: "The same, and the lines that are left are numbered anew so that there is no gap",
        outcome: "visible",
        ends: "The lines do not open under another number, and the hidden ones are found all the same.",
        fails: "a line opens under a number that is not its own",
      },
      newest: {
        attempt: "Only the newest lines are hidden, so that nothing is missing in between",
        outcome: "visible",
        ends: "Her browser finds them in the public log.",
        fails: "the browser trusts the list to be complete",
      },
    },
    limit: "Who never looks is not told. The entries stay in the public log and its mirrors, so a look in later years finds them.",
  },
  {
    id: "flips-back",
    title: "An official flips a status and flips it back",
    happened: "July 2022: codes of depositors turned red again and became green within minutes of a call to the city's hotline. Nobody was told who had done what.",
    sources: [["Sixth Tone, 8 July 2022", "https://sixthtone.com/news/1010729/henan-bank-depositors-continue-to-worry-about-red-health-code"]],
    attempts: {
      status: {
        attempt: "An official writes a status about a resident, and a minute later the one before",
        outcome: "visible",
        ends: "Both stand in her footprint with the same official's commitment and are two entries of the public log; both values stand among her data.",
        fails: "the second replaces the first anywhere",
      },
      undone: {
        attempt: "The desk takes back what it wrote",
        outcome: "impossible",
        ends: "There is no request that takes something back: `not-found` and `wrong-method`.",
        fails: "something that was written can be taken back by who wrote it",
      },
      mandate: {
        attempt: "One official suspends a mandate, two bring it back the same minute",
        outcome: "visible",
        ends: "Both steps stand in the history of the mandate in the register, each a signed statement with its reason.",
        fails: "the register shows the last state only",
      },
    },
  },
  {
    id: "unpublished-agreement",
    title: "A sharing agreement that nobody published",
    happened: "London, 2015: a hospital trust agreed to pass identifiable records of 1.6 million patients to a company. What the agreement said was known when a journal asked for it in 2016; the regulator held in 2017 that the law had been broken.",
    sources: [
      ["Powles and Hodson, Health and Technology, 2017", "https://link.springer.com/article/10.1007/s12553-017-0179-1"],
      ["medConfidential, 3 July 2017", "https://medconfidential.org/2017/press-release-google-deepmind-deal-with-the-royal-free-hospital-broke-the-law/"],
    ],
    attempts: {
      unpublished: {
        attempt: "A service asks for another body's pseudonyms under a mandate that allows it, with an agreement in a drawer",
        outcome: "impossible",
        ends: "Refused with `agreement`.",
        fails: "bodies join what they know without an agreement in the register",
      },
      tried: {
        attempt: "The resident looks whether somebody tried",
        outcome: "visible",
        ends: "A request about many that is refused as a whole is a line in the footprint of everybody whom it names, with the clause, and an entry of the public log.",
        fails: "her footprint has no refusal, or it is not proven in the public log",
      },
      "one-side": {
        attempt: "One side alone publishes an agreement for both",
        outcome: "impossible",
        ends: "Refused with `too-few`: two people of every party sign.",
        fails: "a body is bound by what another one signed",
      },
      "from-tomorrow": {
        attempt: "Both sides sign an agreement that is in force tomorrow",
        outcome: "impossible",
        ends: "Its publication is refused with `too-soon`: the public has 14 days to read it.",
        fails: "an agreement is in force before it was public for 14 days",
      },
      backdated: {
        attempt: "Both sides date it three weeks back",
        outcome: "impossible",
        ends: "Refused with `goes-back`: no statement is dated before the last one in the log.",
        fails: "a statement is taken with a date before that of an earlier entry",
      },
      "too-early": {
        attempt: "Both sides publish one properly and use it on the first day",
        outcome: "impossible",
        ends: "It is in the register at once, as published and not in force. Its start is refused with `too-soon`, and so is every request, with `agreement`.",
        fails: "a published agreement opens anything before its day",
      },
      deposited: {
        attempt: "The school writes about a pupil into the pass, and the library asks for it under the same mandate",
        outcome: "impossible",
        ends: "Refused with `agreement`: what a body puts in is its own, and what another one may ask for stands in an agreement.",
        fails: "a body gets what another one put into the pass without an agreement that names it",
      },
    },
  },
  {
    id: "no-phone",
    title: "A resident is turned away because she has no phone",
    happened: "Taipei, January 2022: libraries, family centres and other public services could be had by the city's app alone. More than 10,000 people signed against it within five days, and the council resolved that the app may not be the only way.",
    sources: [
      ["TVBS, 25 January 2022", "https://news.tvbs.com.tw/politics/1699869"],
      ["NTD, 25 January 2022", "https://ntdtv.com.tw/b5/20220125/video/317485.html"],
    ],
    attempts: {
      "only-door": {
        attempt: "Two people of the library register a service that has no way in but the pass, and one that asks for a telephone",
        outcome: "impossible",
        ends: "Refused with `missing` for `alternatives`, and with `unknown-field`: a statement has no place for such a condition.",
        fails: "a service becomes active whose only door is the pass, or a statement may ask for a telephone",
      },
      card: {
        attempt: "Somebody without a phone, at the counter: she gets a card, signs in to the library with it and lets it have her name",
        outcome: "visible",
        ends: "She is served by card and PIN like everybody, in a browser that is not hers. The use is a line of her footprint.",
        fails: "a card does not sign in where the service asks for nothing more, or its lines are not shown",
      },
      "no-number": {
        attempt: "A mandate requires the telephone number, and she has none",
        outcome: "visible",
        ends: "She agrees and is served: the service gets a token that stands for whatever the pass can reach her by. It is a line of her footprint.",
        fails: "who has no number is refused where a mandate names the number as a token",
      },
      passkey: {
        attempt: "A service asks for a passkey, and she has a card",
        outcome: "visible",
        ends: "She is sent back to it with `unmet_authentication_requirements`. The register shows to everybody what the service asks for, and its ways in without the pass.",
        fails: "she is let in against the statement, is left standing without an answer, or the register does not show the ways in without the pass",
      },
      complaint: {
        attempt: "She complains in the pass about having been turned away",
        outcome: "visible",
        ends: "One button on the page of her cases: the body behind the service has to answer by the day of its law, and without an answer the case goes to the overseer by itself. It is a line of her footprint and an entry of the public log at once, and from the next day among the public counts of the body.",
        fails: "her pages offer no complaint about a service, or what she files leaves no line",
      },
    },
  },
  {
    id: "withdrawn-job",
    title: "A consent is withdrawn and the job runs on",
    happened: "England, 2015 to 2018: the objections of 150,000 patients to other uses of their records were stored and not passed on. Every job went on with their data for three years.",
    sources: [
      ["House of Commons, 2 July 2018", "https://hansard.parliament.uk/commons/2018-07-02/debates/18070233000013/GPUpdate"],
      ["NHS Digital, 2 July 2018", "https://digital.nhs.uk/news/2018/statement-on-type-2-opt-out-error"],
    ],
    attempts: {
      batch: {
        attempt: "The nightly job runs with the list of yesterday, on which somebody stands who has withdrawn",
        outcome: "impossible",
        ends: "The others are answered; her line is `unknown`, since the pseudonym leads to nobody any more. Nothing is added to her footprint.",
        fails: "the next run gets anything about her, or is refused for everybody",
      },
      "own-token": {
        attempt: "The service uses the token that she gave it before",
        outcome: "impossible",
        ends: "Refused as `unauthenticated`: the token ended with the consent.",
        fails: "a token outlives the consent it rests on",
      },
      revived: {
        attempt: "An insider sets her consent back to given in the database and the job runs again",
        outcome: "impossible",
        ends: "`unknown`: her pseudonym is another one and the key of the loan is gone.",
        fails: "a row that says she agreed is enough",
      },
      "old-copy": {
        attempt: "An insider puts all her rows back as they were before the withdrawal: consent, what she lent, and her keyring",
        outcome: "impossible",
        ends: "Answered with `internal`: a new key was made for her when she withdrew, and the old keyring does not open under it.",
        fails: "anything of what she had lent is read from a copy of before",
      },
      told: {
        attempt: "The service keeps what it has and says it was never told",
        outcome: "visible",
        ends: "The withdrawal is a line of her footprint and an entry of the public log with a certificate in the register; a notice to the service that it has to delete is made at once, with a day, and she sees it and whether it was read.",
        fails: "no notice is made, no certificate is published, or she cannot see either",
      },
    },
  },
];
