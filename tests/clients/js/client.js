// The test client on nsqjs; ../README.md has the contract.
'use strict'

const nsq = require('nsqjs')
const readline = require('readline')

const TOUCH_SHARE = 0.5
const REQUEUE_DELAY_MS = 20
const MAX_BACKOFF_S = 0.4
const LOOKUPD_POLL_S = 1

const say = (event) => process.stdout.write(JSON.stringify(event) + '\n')

function publish(address) {
  const [host, port] = address.split(':')
  const writer = new nsq.Writer(host, Number(port))
  const input = readline.createInterface({input: process.stdin})
  const waiting = []
  let ready = false

  const answer = (error) => say(error ? {error: error.message} : {ok: true})
  const run = (command) => {
    if (command.op === 'dpub') {
      // nsqjs wants one message as a list.
      writer.deferPublish(command.topic, [command.body], command.delay_ms, answer)
    } else {
      writer.publish(command.topic, command.op === 'mpub' ? command.bodies : command.body, answer)
    }
  }
  writer.on(nsq.Writer.READY, () => {
    ready = true
    waiting.splice(0).forEach(run)
  })
  writer.on(nsq.Writer.ERROR, (error) => process.stderr.write(`writer: ${error.message}\n`))
  input.on('line', (line) => (ready ? run(JSON.parse(line)) : waiting.push(JSON.parse(line))))
  input.on('close', () => process.exit(0))
  writer.connect()
}

function consume(settings) {
  const reader = new nsq.Reader(settings.topic, settings.channel, {
    nsqdTCPAddresses: settings.nsqd,
    lookupdHTTPAddresses: settings.lookupd,
    lookupdPollInterval: LOOKUPD_POLL_S,
    maxInFlight: settings.max_in_flight,
    messageTimeout: settings.msg_timeout_ms,
    maxBackoffDuration: MAX_BACKOFF_S
  })
  reader.on(nsq.Reader.ERROR, (error) => process.stderr.write(`reader: ${error.message}\n`))
  reader.on(nsq.Reader.MESSAGE, (message) => {
    const body = message.body.toString()
    say({body, attempts: message.attempts})
    const [word, times] = body.split(' ')
    if (word === 'requeue' && message.attempts <= Number(times)) {
      message.requeue(REQUEUE_DELAY_MS, true)
    } else if (word === 'touch') {
      touch(message, Number(times), settings.msg_timeout_ms * TOUCH_SHARE)
    } else {
      message.finish()
    }
  })
  reader.connect()
  const input = readline.createInterface({input: process.stdin})
  input.on('line', () => {})
  input.on('close', () => {
    reader.close()
    // Answers that were given leave on the next ticks; the exit comes behind them.
    setTimeout(() => process.exit(0), 100)
  })
}

function touch(message, times, everyMs) {
  if (times === 0) {
    message.finish()
    return
  }
  setTimeout(() => {
    message.touch()
    touch(message, times - 1, everyMs)
  }, everyMs)
}

if (process.argv[2] === 'publish') {
  publish(process.argv[3])
} else {
  consume(JSON.parse(process.argv[3]))
}
