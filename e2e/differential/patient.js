// The limits of the pass are not compared: who is told to come back later does so, and the answer then counts.

/** Longest wait that is believed, in seconds. */
const LONGEST = 120;
/** How often one request is sent at most. */
const ATTEMPTS = 5;

/**
 * The same fetch, for one provider, that waits as long as a 429 says.
 * @param {typeof fetch} plain @param {string} origin whose limits are waited for
 * @returns {typeof fetch}
 */
export function patient(plain, origin) {
  return async (address, init) => {
    for (let attempt = 1; ; attempt++) {
      const answer = await plain(address, init);
      const isOurs = new URL(address).origin === origin;
      const seconds = Number(answer.headers.get("retry-after"));
      if (!isOurs || answer.status !== 429 || !(seconds > 0 && seconds <= LONGEST) || attempt === ATTEMPTS) return answer;
      await answer.body?.cancel();
      await new Promise((done) => setTimeout(done, seconds * 1_000));
    }
  };
}
