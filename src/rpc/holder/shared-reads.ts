/**
 * Reads that many may ask for at the same time. One read of each thing is under way at a time; whoever asks meanwhile gets the
 * next one, with everybody else who does: what they look for may have appeared since it began.
 */
export class SharedReads<Question> {
  #read: (path: string, questions: readonly Question[]) => Promise<void>;
  #underWay = new Map<string, Promise<void>>();
  #next = new Map<string, { readonly questions: Question[]; readonly answered: Promise<void> }>();

  /** `read` notes the answers in the questions themselves. What it rejects with is told to nobody: they stay without an answer. */
  constructor(read: (path: string, questions: readonly Question[]) => Promise<void>) {
    this.#read = read;
  }

  /** Resolves when a read that began after this call is over. */
  ask(path: string, question: Question): Promise<void> {
    const next = this.#next.get(path) ?? this.#plan(path);
    next.questions.push(question);
    return next.answered;
  }

  #plan(path: string) {
    const questions: Question[] = [];
    const begin = async () => {
      this.#next.delete(path);
      this.#underWay.set(path, answered);
      await this.#read(path, questions).catch(() => {});
      if (this.#underWay.get(path) === answered) this.#underWay.delete(path);
    };
    const answered = (this.#underWay.get(path) ?? Promise.resolve()).then(begin);
    const next = { questions, answered };
    this.#next.set(path, next);
    return next;
  }
}
