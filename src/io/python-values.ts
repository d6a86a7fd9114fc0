/** Python values that JavaScript has no form of its own for, as the pickle writer takes them. */

/** A Python float, also where the value is whole: JavaScript's 1 would be written as an int. */
export class PyFloat {
  constructor(readonly value: number) {}
}

export class PyTuple {
  constructor(readonly items: readonly unknown[]) {}
}

/** A list that belongs to an object's description: messages do not count it as a place in the caller's value. */
export class PyList {
  constructor(readonly items: readonly unknown[]) {}
}

/** A class or function by its name; the reading Python resolves it. */
export class PyGlobal {
  constructor(
    readonly module: string,
    readonly name: string,
  ) {}
}

/** An object made by calling `callee(*args)`, then given its `state`. */
export class PyReduce {
  constructor(
    readonly callee: PyGlobal,
    readonly args: PyTuple,
    readonly state?: PyTuple,
  ) {}
}

/** What the reader fetches from outside the pickle (PyTorch: storages). */
export class PyPersistent {
  constructor(readonly id: PyTuple) {}
}
